// Keys, and a short course of the query language.
import { useEffect, useRef } from 'preact/hooks';
import type { VNode } from 'preact';
import { logout } from './header';
import { VerdictMark } from './icons';
import { help, system, user } from './state';
import { verdicts } from './words';
import type { Verdict } from './words';

const keys: [string, string][] = [['/', 'filter'], ['j k', 'down, up'], ['Enter', 'why'], ['Esc', 'close'], ['?', 'this help']];

const meaning: Record<Verdict, string> = {
  active: 'still running',
  complete: 'the receiver confirmed the last byte, and sizes agree',
  probe: 'only options or size were asked',
  unproven: 'it may have worked; the proof is missing',
  failed: 'it ended without that, and the cause is known',
  aborted: 'a party said stop',
  refused: 'it never began',
  contradicted: 'witnesses disagree',
};

const queries: [string, string][] = [
  ['verdict:failed', 'one verdict; outcome:failure means all bad ones, and what moves no content'],
  ['client:10.20.0.0/16', 'an address or a network'],
  ['file:*-confg', 'a name with * and ?'],
  ['op:upload size:>1MiB', 'both must hold'],
  ['took:>30s OR reason:timeout', 'one must hold'],
  ['-host:lab-1', 'not'],
  ['kind:mount to_class:removable', 'among events: sticks; also network, cloud, local'],
];

export function Help(): VNode {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (help.value) box.current?.showModal();
    else box.current?.close();
  }, [help.value]);
  return (
    <dialog ref={box} class="help" aria-label="Help" onClose={() => (help.value = false)} onClick={(e) => e.target === box.current && (help.value = false)}>
      <div>
        <h2>Keys</h2>
        <dl>{keys.map(([k, what]) => <><dt>{k.split(' ').map((x) => <kbd key={x}>{x}</kbd>)}</dt><dd>{what}</dd></>)}</dl>
        <h2>Verdicts</h2>
        <dl>{verdicts.map((v) => <><dt><VerdictMark of={v} /></dt><dd>{meaning[v]}</dd></>)}</dl>
        <h2>Filter</h2>
        <dl>{queries.map(([k, what]) => <><dt><code>{k}</code></dt><dd>{what}</dd></>)}</dl>
        <p class="calm">Drag over the chart to see some hours. Tallyman {system.value?.version} · <a href="/api/v1/openapi.json">API</a> · <a href={'/' + (document.body.dataset['licenses'] ?? '').replace(/^\//, '')}>licences</a></p>
        <form method="dialog"><button type="submit" class="primary">Close</button>{user.value && <button type="button" onClick={logout}>Log out</button>}</form>
      </div>
    </dialog>
  );
}
