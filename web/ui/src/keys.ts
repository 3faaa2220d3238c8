// Everything can be done without a mouse.
import { help, open, picked, reveal, rows } from './state';

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
      if (rows.value.some((t) => t.id === picked.value)) open.value = picked.value;
      break;
    }
  }
});

/** Moves the picked row; an open record follows it. */
function move(by: number): void {
  const at = rows.value.findIndex((t) => t.id === picked.value);
  const next = Math.max(0, Math.min(rows.value.length - 1, at + by));
  const t = rows.value[next];
  if (!t) return;
  picked.value = t.id;
  reveal.value = { at: next };
  if (open.value) open.value = t.id;
}
