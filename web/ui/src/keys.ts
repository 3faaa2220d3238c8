// Everything can be done without a mouse.
import { cursor, help, open, rows } from './state';

addEventListener('keydown', (e) => {
  const el = e.target as HTMLElement;
  if (e.ctrlKey || e.metaKey || e.altKey || document.querySelector('dialog[open]')) return;
  if (e.key === 'Escape') {
    if (el instanceof HTMLInputElement) el.blur();
    else open.value = '';
    return;
  }
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(el.tagName)) return;
  switch (e.key) {
    case '/':
      e.preventDefault();
      document.getElementById('q')?.focus();
      break;
    case '?':
      help.value = true;
      break;
    case 'j':
    case 'k':
      move(e.key === 'j' ? 1 : -1);
      break;
    case 'Enter': {
      if (/^(BUTTON|A|SUMMARY)$/.test(el.tagName)) return;
      const t = rows.value[cursor.value];
      if (t) open.value = t.id;
      break;
    }
  }
});

/** Moves the picked row; an open record follows it. */
function move(by: number): void {
  const next = Math.max(0, Math.min(rows.value.length - 1, cursor.value + by));
  cursor.value = next;
  const t = rows.value[next];
  if (open.value && t) open.value = t.id;
}
