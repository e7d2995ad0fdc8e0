// npm run attach:rounds [-- ROUNDS [KILLS]]: attaching to a service under load and detaching again, 500 times, and killing
// the tool at 100 random moments and at each of its steps (KILLS of both). Writes the figures to docs/attach.md.
//
// The service (test/targets/attach-service) allocates in 8 threads of C, loads and unloads a library, collects garbage and
// answers 8 connections; its canaries notice if a register or a wait of one of its threads is disturbed. Any refusal, hang,
// failed request or disturbed canary ends this with a failure. (test/e2e/attach-load.test.ts is the short form.)
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { buildTarget } from './build-targets.mjs';
import { killAtEveryStep, killAtRandom } from './lib/attach-kills.mjs';
import { attachRounds, latencies, quantile } from './lib/attach-rounds.mjs';
import { PLUGIN_SOURCE } from './lib/attach-service.mjs';
import { replaceSection, table } from './lib/markdown.mjs';
import { main, ROOT, run, StepError, say } from './lib/process.mjs';
import { setUp } from './setup.mjs';

const PER_PROCESS = 50;
const KILLS = 100;
const DOCUMENT = join(ROOT, 'docs/attach.md');

const ms = (value) => (value < 10 ? value.toFixed(2) : value.toFixed(1));
const count = (value) => value.toLocaleString('en-US');

/** Minimum, median, 99th percentile and maximum. */
const spread = (values) => [0, 0.5, 0.99, 1].map((share) => ms(quantile(values, share)));

/** @param {Awaited<ReturnType<typeof attachRounds>>} done */
function describeRounds(done) {
  const [first, later] = [true, false].map((isFirst) => done.rounds.filter((round) => round.isFirst === isFirst));
  const seconds = latencies(done);
  const [before, during] = ['before', 'during'].map((second) => seconds.flatMap((round) => round[second]));
  const stopped = (rounds) => [count(rounds.length), ...spread(rounds.map(({ stoppedMs }) => stoppedMs))];
  const answered = (latency) => [count(latency.length), ...spread(latency)];
  const ratio = quantile(during, 0.99) / quantile(before, 0.99);
  const ratios = seconds.map((round) => quantile(round.during, 0.99) / quantile(round.before, 0.99));
  return [
    table(
      ['milliseconds', 'number', 'least', 'median', '99 %', 'most'],
      [
        ['one thread stopped, attach that loads the library', ...stopped(first)],
        ['one thread stopped, later attach', ...stopped(later)],
        ['answer, second before an attach', ...answered(before)],
        ['answer, second that begins with an attach', ...answered(during)],
      ],
    ),
    '',
    `The 99th percentile of the seconds with an attach is ${ratio.toFixed(2)} times that of the seconds before; by rounds, the`,
    `median of that ratio is ${quantile(ratios, 0.5).toFixed(2)}.`,
  ].join('\n');
}

/** @param {Awaited<ReturnType<typeof attachRounds>>} done */
function expectNoFailure({ answers }) {
  const failures = answers.map(({ failure }) => failure).filter(Boolean);
  if (failures.length > 0) throw new StepError(`${failures.length} requests failed; the first: ${failures[0]}`);
}

function describe(done, kills, steps) {
  const processes = done.rounds.filter(({ isFirst }) => isFirst).length;
  const attempts = done.rounds.reduce((sum, round) => sum + round.attempts, 0);
  return [
    `On ${cpus().length} × ${cpus()[0].model.trim()}, by \`npm run attach:rounds\`:`,
    '',
    `${count(done.rounds.length)} rounds of attach and detach in ${processes} processes of a service under load: none hung,`,
    `none was refused, ${count(done.answers.length)} requests were answered, none failed; ${attempts} threads were stopped, found`,
    'at no safe point and let go; no canary was disturbed.',
    '',
    describeRounds(done),
    '',
    `The tool was killed at ${kills} random moments of an attach or a detach, and at ${steps.kills} of the ${steps.steps} system calls by which`,
    'an attach reaches into the process: every time the service went on answering, no canary was disturbed, and the next',
    'attach worked.',
  ].join('\n');
}

const progress = (what) => (number) => {
  if (number % 25 === 0) say(`${what} ${number}`);
};

async function fromCommandLine() {
  const [rounds = 500, most] = process.argv.slice(2).map(Number);
  if (!(rounds > 0 && (most === undefined || most > 0))) throw new StepError('ROUNDS and KILLS are numbers');
  setUp({ withTests: false });
  const folder = mkdtempSync('/dev/shm/cgoprof-attach-');
  try {
    const plugin = join(folder, 'plugin.so');
    run(['cc', '-g', '-O1', '-shared', '-fPIC', '-o', plugin, PLUGIN_SOURCE]);
    const setting = {
      program: buildTarget('attach-service'),
      plugin,
      tool: [process.execPath, join(ROOT, 'dist/cli.js')],
      env: { ...process.env, CGOPROF_DIR: folder },
    };
    const done = await attachRounds(setting, { rounds, perProcess: PER_PROCESS, onRound: progress('round') });
    expectNoFailure(done);
    const kills = most ?? KILLS;
    await killAtRandom(setting, { kills, onKill: progress('kill') });
    const steps = await killAtEveryStep(setting, { most, onKill: progress('step') });
    const text = describe(done, kills, steps);
    say(text);
    replaceSection(DOCUMENT, '## Measured', text);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

await main(fromCommandLine);
