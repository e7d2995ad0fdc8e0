/** Commands that read the profile elsewhere, ready to be copied, and links to it. */
import { byId, element, setText } from './elements.js';

interface Command {
  readonly title: string;
  readonly lines: (heap: string) => readonly string[];
}

const COMMANDS: readonly Command[] = [
  { title: 'Read it in a terminal', lines: (heap) => [`go tool pprof ${heap}`] },
  { title: 'Look at its graphs in a browser', lines: (heap) => [`go tool pprof -http=: ${heap}`] },
  {
    title: 'See what grows: keep one profile now, and compare later',
    lines: (heap) => [`curl -sSo base.pb.gz ${heap}`, `go tool pprof -base base.pb.gz ${heap}`],
  },
];

/** A shell takes what stands in the address for nothing else. */
function shellWord(text: string): string {
  return /^[\w%+./:@=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

let shownFor = '';

/** @param pprof Of the target's net/http/pprof, relative to the page */
export function showCommands(pprof: string): void {
  const base = new URL(pprof, location.href);
  if (base.href === shownFor) return;
  shownFor = base.href;
  // Credentials would be of the address that the page was opened with; a browser hides them.
  const heap = shellWord(new URL('heap', base).href);
  byId('commands').replaceChildren(...COMMANDS.map(({ title, lines }) => commandItem(title, lines(heap))));
  byId('profiles').hidden = false;
  byId<HTMLAnchorElement>('link-heap').href = new URL('heap', base).href;
  byId<HTMLAnchorElement>('link-index').href = base.href;
  byId<HTMLAnchorElement>('link-metrics').href = new URL('metrics', location.href).href;
}

function commandItem(title: string, lines: readonly string[]): HTMLElement {
  const items = lines.map((line) => {
    const code = element('code', { tabindex: '0' }, line);
    const button = element('button', { type: 'button', class: 'copy', 'aria-label': `Copy: ${line}` }, 'Copy');
    button.addEventListener('click', () => void copy(line, code, button));
    return element('div', { class: 'command' }, code, button);
  });
  return element('li', {}, element('p', {}, title), ...items);
}

/** Where there is no clipboard (a page that came without TLS from another machine) the text is selected instead. */
async function copy(text: string, code: HTMLElement, button: HTMLElement): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    tell(button, 'Copied');
  } catch {
    getSelection()?.selectAllChildren(code);
    tell(button, 'Selected');
  }
}

function tell(button: HTMLElement, word: string): void {
  setText(button, word);
  setText(byId('copied'), word);
  setTimeout(() => {
    setText(button, 'Copy');
    setText(byId('copied'), '');
  }, 2_000);
}
