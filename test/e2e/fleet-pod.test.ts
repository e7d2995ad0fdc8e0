/**
 * What examples/fleet/deployment.yaml counts on: a sidecar that shares with the service its processes, one volume and the
 * network, and nothing else, sees its memory and its lines, with no privilege whatsoever. Shown with the kernel's parts of
 * which a pod is made: one pid namespace, a mount namespace for each container, a user that has no capabilities.
 */

import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync } from 'node:fs';
import { afterAll, expect, it, onTestFinished } from 'vitest';
import { buildTarget } from '../../scripts/build-targets.mjs';
import { Workshop } from '../support/cgoprof.js';
import { top } from '../support/go-pprof.js';
import { ServingTool } from '../support/served-tool.js';
import { siteOf } from '../support/sites.js';

const shop = new Workshop();
afterAll(() => shop.remove());

const NAMESPACES = ['unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];

/** runAsUser, allowPrivilegeEscalation: false, capabilities: drop ALL. */
const UNPRIVILEGED = 'setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs --bounding-set=-all';

/**
 * $VOLUME and $IMAGE: folders; $SERVICE: a program; $@: cgoprof. Each container has files that the other one does not see;
 * the service's program is one.
 */
const POD = `
  set -e
  mount -t tmpfs -o mode=1777 none $VOLUME
  export CGOPROF_DIR=$VOLUME/segments
  unshare --mount sh -c 'mount -t tmpfs none $IMAGE && cp $SERVICE $IMAGE/leaky-api && chmod 755 $IMAGE &&
    tail -f /dev/null | exec ${UNPRIVILEGED} env $VARIABLES $IMAGE/leaky-api' >$VOLUME/said &
  until grep -q ready $VOLUME/said; do sleep 0.1; done
  url=$(sed -n 's/^listening on //p' $VOLUME/said)
  unshare --mount sh -c 'mount -t tmpfs none /dev/shm && exec ${UNPRIVILEGED} "$@"' sh \\
    "$@" serve leaky-api --go=$url --listen=127.0.0.1:0`;

const mayMakeNamespaces =
  process.getuid?.() === 0 && spawnSync('unshare', [...NAMESPACES.slice(1), 'true']).status === 0;
const reason = mayMakeNamespaces ? '' : ': skipped, it needs root and namespaces';

it.skipIf(!mayMakeNamespaces)(
  `a sidecar sees the service's memory, with names, and needs no privilege${reason}`,
  async () => {
    for (const folder of ['volume', 'image', 'cache']) mkdirSync(shop.path(folder));
    chmodSync(shop.path('cache'), 0o777);
    copyFileSync(buildTarget('service'), shop.path('service'));
    const { stdout } = await shop.run(['env', '--rate', '1']);
    const env = {
      VOLUME: shop.path('volume'),
      IMAGE: shop.path('image'),
      SERVICE: shop.path('service'),
      VARIABLES: stdout.trim().replaceAll('\n', ' '),
      XDG_CACHE_HOME: shop.path('cache'),
    };
    const pod = shop.launch([...NAMESPACES, 'sh', '-c', POD, 'sh', ...shop.tool], { env });
    onTestFinished(async () => {
      pod.destroy();
      await pod.finished;
    });
    const serving = new ServingTool(pod);
    await serving.listening();

    const file = await serving.fetchTo('/debug/pprof/heap', shop.path('heap.pb.gz'));
    const rows = top('-sample_index=inuse_space', '-lines', file);
    for (const name of ['held', 'go']) {
      const { function: called, path, line, bytes } = siteOf('service', name);
      expect(rows.get(`${called} ${path}:${line}`)?.[0]).toBe(bytes);
    }
    expect((await serving.get('/metrics')).text).toContain('cgoprof_target_up{target="leaky-api"} 1');
  },
);
