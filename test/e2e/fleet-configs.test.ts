/**
 * The files of examples/fleet are what the programs take that they are for, as far as their own code says so here; what
 * they name there is; and so is the page of metrics.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { buildTarget } from '../../scripts/build-targets.mjs';
import { fleetTool } from '../../scripts/lib/fleet-tools.mjs';
import { attach, compilePlugin } from '../support/attach-control.js';
import { Workshop } from '../support/cgoprof.js';
import { ServingTool } from '../support/served-tool.js';
import { Service } from '../support/service.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const example = (name: string): string => join(ROOT, 'examples/fleet', name);

const shop = new Workshop();
afterAll(() => shop.remove());

/** Skips by name where a tool could not be downloaded. */
function itWith(tool: 'checkconfigs' | 'alloyformat') {
  const path = join(ROOT, fleetTool(tool));
  const missing = existsSync(path) ? '' : `: skipped, ${tool} is not built; npm run test:fleet builds it`;
  const run = (...args: string[]): string => execFileSync(path, args, { encoding: 'utf8' });
  return (name: string, body: (run: (...args: string[]) => string) => void | Promise<void>) =>
    it.skipIf(missing !== '')(`${name}${missing}`, () => body(run));
}
const itReads = itWith('checkconfigs');
const itFormats = itWith('alloyformat');

/** One that was attached to, which has numbers of its own. */
async function attachedService(): Promise<Service> {
  const service = await Service.start(shop, [buildTarget('attach-service'), compilePlugin(shop)]);
  await attach(shop, service.pid);
  return service;
}

describe('Parca', () => {
  for (const file of ['parca.yaml', 'parca-kubernetes.yaml']) {
    itReads(`reads ${file}, and finds memory profiles where C is in them`, (run) => {
      const scraped = run('parca', example(file)).trim().split('\n');
      const memory = scraped.map((row) => row.split(' ')).filter(([, kind]) => kind === 'memory');
      expect(memory.length).toBeGreaterThan(0);
      for (const [, , path] of memory) expect(path).toMatch(/^(\/p\/[\w.-]+)?\/debug\/pprof\/heap$/);
    });
  }

  it('is given no parameters: it would add its own to them, for all kinds of profiles', () => {
    for (const file of ['parca.yaml', 'parca-kubernetes.yaml']) {
      expect(readFileSync(example(file), 'utf8')).not.toMatch(/^\s*params:/m);
    }
  });
});

describe('Prometheus', () => {
  itReads('reads its configuration', (run) => {
    run('prometheus', example('prometheus.yml'));
  });

  itReads('alerts on metrics and labels that there are', async (run) => {
    const service = await attachedService();
    const { text } = await (await ServingTool.start(shop, `${service.pid}`)).get('/metrics');
    const metrics = run('rules', example('alerts.yml')).trim().split('\n');
    expect(metrics).toEqual(
      expect.arrayContaining(['cgoprof_recording_start_timestamp_seconds', 'cgoprof_before_attach_bytes']),
    );
    for (const metric of metrics) expect(text).toMatch(new RegExp(`^${metric}\\{target="`, 'm'));
    const reasons = /reason=~"([^"]*)"/.exec(readFileSync(example('alerts.yml'), 'utf8'))?.[1]?.split('|') ?? [];
    expect(reasons.length).toBeGreaterThan(0);
    for (const reason of reasons) expect(text).toContain(`reason="${reason}"`);
  });

  itReads('reads the page of metrics, and finds nothing against its conventions', async (run) => {
    const services = [await attachedService(), await attachedService()];
    const targets = services.map(({ pid }, i) => `api.${i}=${pid}`);
    const { text } = await (await ServingTool.start(shop, ...targets, shop.path('none'))).get('/metrics');
    const types = run('metrics', shop.write('metrics.txt', text)).trim().split('\n');
    expect(types).toEqual(
      expect.arrayContaining([
        'cgoprof_c_allocated_bytes_total counter',
        'cgoprof_c_in_use_bytes gauge',
        'cgoprof_target_up gauge',
        'nodejs_eventloop_lag_seconds gauge',
        'process_cpu_seconds_total counter',
      ]),
    );
    const ours = types.filter((type) => type.startsWith('cgoprof_'));
    expect(ours).toHaveLength(text.match(/^# TYPE cgoprof_/gm)?.length ?? 0);
  });
});

describe('Grafana Alloy', () => {
  itFormats('has its configuration as alloy fmt lays it out', (run) => {
    expect(run(example('config.alloy'))).toBe(readFileSync(example('config.alloy'), 'utf8'));
  });
});

interface Container {
  readonly name: string;
  readonly args: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value: string }[];
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
}

describe('Kubernetes', () => {
  const pod = (run: (...args: string[]) => string) => {
    const { spec } = JSON.parse(run('kubernetes', example('deployment.yaml'))).spec.template;
    const [service, sidecar] = spec.containers as [Container, Container];
    return { spec, service, sidecar };
  };
  const variable = ({ env = [] }: Container, name: string) => env.find((one) => one.name === name)?.value ?? '';

  itReads('has the service and its sidecar keep their segments in one folder of a volume, closed to others', (run) => {
    const { spec, service, sidecar } = pod(run);
    const folder = variable(service, 'CGOPROF_DIR');
    expect(variable(sidecar, 'CGOPROF_DIR')).toBe(folder);
    for (const { volumeMounts } of [service, sidecar]) {
      const mount = volumeMounts.find(({ mountPath }) => folder.startsWith(`${mountPath}/`));
      expect(mount?.name).toBe('segments');
    }
    expect(spec).toMatchObject({ shareProcessNamespace: true, securityContext: { runAsUser: 10001 } });
  });

  itReads('starts a sidecar whose command line cgoprof takes, on the port that scrapers look for', async (run) => {
    const { sidecar } = pod(run);
    const token = shop.write('token', 'of-twenty-two-letters', 0o600);
    // Not whatever program of that name runs on this machine.
    const args = sidecar.args.map((arg) =>
      arg.replace(/^--token-file=.*/, `--token-file=${token}`).replace(/^leaky-api$/, `$&=${shop.path('none')}`),
    );
    const listen = args.find((arg) => arg.startsWith('--listen=')) ?? '';
    const [port] = sidecar.ports ?? [];
    expect(listen).toBe(`--listen=0.0.0.0:${port?.containerPort}`);
    // Without a service it waits for one. The last --listen counts: that of ServingTool.
    const serving = await ServingTool.start(shop, ...args.slice(1));
    expect((await serving.get('/metrics')).status).toBe(401);
    const headers = { Authorization: 'Bearer of-twenty-two-letters' };
    const metrics = await (await fetch(`${serving.url}/metrics`, { headers })).text();
    expect(metrics).toContain('cgoprof_target_up{target="leaky-api"} 0');
    for (const file of ['parca-kubernetes.yaml', 'prometheus.yml', 'config.alloy']) {
      expect(readFileSync(example(file), 'utf8')).toMatch(new RegExp(`regex[: =]+"?${port?.name}"?$`, 'm'));
    }
  });
});

describe('Dockerfile', () => {
  const text = readFileSync(example('Dockerfile'), 'utf8');

  it('sets what cgoprof env prints', async () => {
    const { stdout } = await shop.run(['env']);
    const lines = [...text.matchAll(/^ENV (.*)$/gm)].map(([, line]) => line);
    expect(lines.join('\n')).toBe(stdout.trim().replaceAll(shop.path('cgoprof'), '/opt/cgoprof'));
  });

  it('copies what there is: all that cgoprof needs to run', () => {
    const copied = [...text.matchAll(/^COPY --from=build \/opt\/cgoprof\/(\S+) \/opt\/cgoprof\/(\S+)$/gm)];
    for (const [, from = '', to] of copied) {
      expect(to).toBe(from);
      expect(existsSync(join(ROOT, from))).toBe(true);
    }
    // As the tool is installed for tests.
    for (const installed of readdirSync(shop.path('cgoprof'))) {
      expect(copied.some(([, from = '']) => from.split('/')[0] === installed)).toBe(true);
    }
  });
});
