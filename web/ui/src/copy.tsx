// A button that puts a text on the clipboard and says that it did.
import { useSignal } from '@preact/signals';
import type { ComponentChildren, VNode } from 'preact';
import { Sign } from './icons';

export function Copy({ text, children, label }: { text: () => string; children?: ComponentChildren; label?: string }): VNode {
  const done = useSignal(false);
  const copy = async (): Promise<void> => {
    await put(text());
    done.value = true;
    setTimeout(() => (done.value = false), 1500);
  };
  return (
    <button type="button" class="copy" onClick={() => void copy()} aria-label={label} title={label ?? 'Copy'}>
      <Sign of={done.value ? 'done' : 'copy'} />{children}
      <span class="hidden" role="status">{done.value ? 'copied' : ''}</span>
    </button>
  );
}

/** Browsers give the clipboard to secure pages only (Secure Contexts, W3C); others have the old way. */
async function put(text: string): Promise<void> {
  if (isSecureContext) return navigator.clipboard.writeText(text);
  const area = document.createElement('textarea');
  area.value = text;
  area.className = 'hidden';
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
}
