// Brings a fresh checkout to where the tool runs: Debian packages, node_modules, the addon, the preload library, dist/.
//
//     node scripts/setup.mjs [demo|test]
//
// Uses nothing but Node, so that it can run first. Every step says what it does, is left out when there is nothing left
// to do, and can be run again after a failure. `demo` (the default) builds what the tool needs; `test` builds the native
// tests too and installs what they need.
import { cpSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildWithCmake } from './lib/cmake.mjs';
import { ensurePackages } from './lib/debian.mjs';
import { findGo } from './lib/go.mjs';
import { capture, findProgram, main, nodeBin, ROOT, run, StepError, say } from './lib/process.mjs';
import { unlessUpToDate } from './lib/up-to-date.mjs';

const OLDEST_NODE = [20, 17];

/** Of the page that `cgoprof serve` shows, what is no script. */
const UI_FILES = ['page.html', 'page.css', 'icon.svg'];

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return;
  throw new StepError(`Node ${process.versions.node} is too old`, `install Node ${OLDEST_NODE.join('.')} or newer`);
}

/** Whether node_modules holds what package-lock.json says, by npm's own record of what it installed. */
function nodeModulesMatchLock() {
  const record = join(ROOT, 'node_modules/.package-lock.json');
  if (!existsSync(record)) return false;
  const installed = JSON.parse(readFileSync(record, 'utf8')).packages;
  const locked = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')).packages;
  const isSame = (path) => installed[path]?.version === locked[path].version;
  const mayBeMissing = (path) => path === '' || locked[path].optional || locked[path].devOptional;
  return Object.keys(locked).every((path) => isSame(path) || (mayBeMissing(path) && !installed[path]));
}

function installNodeModules() {
  if (nodeModulesMatchLock()) return;
  say('npm ci');
  run(['npm', 'ci', '--no-audit', '--no-fund'], { quiet: true });
}

function buildTypeScript() {
  const step = {
    name: 'typescript',
    inputs: ['src', 'tsconfig.json', 'package-lock.json'],
    outputs: ['dist/cli.js', ...UI_FILES.map((name) => `dist/ui/${name}`)],
  };
  unlessUpToDate(step, () => {
    say('tsc: src → dist');
    run([nodeBin('tsc'), '-p', 'tsconfig.json'], { quiet: true });
    run([nodeBin('tsc'), '-p', 'src/ui'], { quiet: true });
    for (const name of UI_FILES) cpSync(join(ROOT, 'src/ui', name), join(ROOT, 'dist/ui', name));
  });
}

/** Where Node's own headers lie, when they came with it: then node-gyp need not download them. */
function nodeHeaderFolder() {
  const prefixes = [process.env.npm_config_nodedir, join(process.execPath, '../..'), '/usr'];
  const isThisNode = (prefix) => {
    const header = join(prefix, 'include/node/node_version.h');
    if (!existsSync(header)) return false;
    const text = readFileSync(header, 'utf8');
    const part = (name) => text.match(new RegExp(`#define NODE_${name}_VERSION (\\d+)`))?.[1];
    return ['MAJOR', 'MINOR', 'PATCH'].map(part).join('.') === process.versions.node;
  };
  return prefixes.filter(Boolean).find(isThisNode) ?? '';
}

function buildAddon() {
  const headers = nodeHeaderFolder();
  const step = {
    name: 'addon',
    inputs: ['binding.gyp', 'native/addon', 'native/shared', 'package-lock.json'],
    outputs: ['build/Release/cgoprof.node'],
    facts: [process.versions.modules, process.arch],
  };
  unlessUpToDate(step, () => {
    say('node-gyp: native/addon → build/Release/cgoprof.node');
    const nodedir = headers ? [`--nodedir=${headers}`] : [];
    run([nodeBin('node-gyp'), 'rebuild', ...nodedir], { quiet: true });
  });
}

function buildNative(withTests) {
  const step = {
    name: withTests ? 'native-with-tests' : 'native',
    inputs: [
      'native/CMakeLists.txt',
      'native/preload',
      'native/shared',
      'native/addon',
      withTests ? 'test/native' : '',
    ],
    outputs: ['out/native/lib/libcgoprof.so'],
    facts: [capture([findProgram('c++'), '--version'])],
  };
  unlessUpToDate({ ...step, inputs: step.inputs.filter(Boolean) }, () => {
    say(`cmake-js: native/preload → out/native${withTests ? ', with tests' : ''}`);
    buildWithCmake('out/native', { targets: withTests ? [] : ['cgoprof'] });
  });
}

/**
 * Does everything that is left to do.
 *
 * @param {{ withTests: boolean }} options
 * @throws {StepError} at the first step that fails
 */
export function setUp({ withTests }) {
  checkNode();
  ensurePackages(withTests ? ['build', 'test'] : ['build']);
  findGo();
  installNodeModules();
  buildTypeScript();
  buildAddon();
  buildNative(withTests);
}

if (process.argv[1] === import.meta.filename) {
  await main(() => {
    setUp({ withTests: process.argv[2] === 'test' });
    say('set-up: nothing left to do');
  });
}
