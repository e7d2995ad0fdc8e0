import { expect, it } from 'vitest';
import { escapeHtml, html } from '../../../src/serve/html.js';

it('what is put in is text, in quotes too', () => {
  const hostile = `</td><script>alert("1" & '2')</script>`;
  const safe = '&lt;/td&gt;&lt;script&gt;alert(&#34;1&#34; &amp; &#39;2&#39;)&lt;/script&gt;';
  expect(escapeHtml(hostile)).toBe(safe);
  expect(html`<a title="${hostile}">${hostile}</a>`.text).toBe(`<a title="${safe}">${safe}</a>`);
});

it('pieces of a page stay what they are, one or many', () => {
  const cell = (value: number | bigint) => html`<td>${value}</td>`;
  expect(html`<tr>${[cell(1), cell(2n ** 63n)]}${html``}</tr>`.text).toBe(
    '<tr><td>1</td><td>9223372036854775808</td></tr>',
  );
});
