// npm run test:fleet: what a fleet does with cgoprof serve, with the programs of a fleet: a real Parca server scrapes it and
// is asked for the lines of C; the configurations in examples/fleet are read by the programs' own code.
//
// The programs are built through the Go module proxy into out/fleet, the first time in some minutes. npm test does the same
// where that can be had.
import { buildTarget } from './build-targets.mjs';
import { buildFleetTools } from './lib/fleet-tools.mjs';
import { main, nodeBin, run } from './lib/process.mjs';
import { setUp } from './setup.mjs';

await main(() => {
  setUp({ withTests: true });
  buildTarget('service');
  buildFleetTools();
  run([nodeBin('vitest'), 'run', '--project', 'e2e', 'test/e2e/fleet-']);
});
