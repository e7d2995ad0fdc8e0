/** How the index page looks, and what it may load: its own style and nothing else, not even a script. */
import { createHash } from 'node:crypto';

export const INDEX_STYLE = `
:root { color-scheme: light dark; --link: #0645ad; --line: #bbb; --note: #fff3cd; }
@media (prefers-color-scheme: dark) { :root { --link: #8ab4f8; --line: #555; --note: #4a3c00; } }
body { font: 1rem/1.45 system-ui, sans-serif; margin: 1rem auto; max-width: 60rem; padding: 0 1rem; overflow-wrap: break-word; }
h1 { font-size: 1.4rem; }
h2 { font-size: 1.1rem; margin-top: 1.6rem; }
a { color: var(--link); }
nav a { display: inline-block; padding: .3rem 1rem .3rem 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem 1rem .3rem 0; text-align: left; vertical-align: top; }
td { font-variant-numeric: tabular-nums; }
dt { font-weight: bold; }
dd { margin: 0 0 .6rem 0; }
ul { padding-left: 1.2rem; }
li { padding: .15rem 0; }
.profile-name { display: inline-block; min-width: 6rem; }
.note { background: var(--note); padding: .4rem .6rem; }
`;

const HASH = createHash('sha256').update(INDEX_STYLE).digest('base64');

export const INDEX_POLICY = `default-src 'none'; style-src 'sha256-${HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
