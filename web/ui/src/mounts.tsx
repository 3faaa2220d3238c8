// What is mounted now, and the folders that cloud clients keep in step. It is asked for again whenever a mount or unmount is told.
import { effect, signal } from '@preact/signals';
import type { VNode } from 'preact';
import { get } from './api';
import { dateOf, timeOf } from './format';
import { failed, happened, needs, system, utc, view } from './state';
import type { Mount } from './words';

const list = signal<Mount[] | undefined>(undefined);

let running: AbortController | undefined;

async function load(): Promise<void> {
  running?.abort();
  const mine = new AbortController();
  running = mine;
  try {
    const answer = await get<{ mounts: Mount[] }>('mounts', {}, mine.signal);
    list.value = answer.mounts.sort((a, b) => far(b) - far(a)); // what can leave this machine stands first; else as mounted
  } catch (err) {
    if (!mine.signal.aborted) failed(err);
  }
}

const classes = ['local', 'cloud', 'network', 'removable'];
const far = (m: Mount): number => classes.indexOf(m.to_class);

effect(() => {
  // Reading them makes the effect run again when one of them changes.
  void [happened.value, system.value];
  if (view.value === 'mounts' && needs.value === '') void load();
});

export function Mounts(): VNode {
  const all = list.value;
  return (
    <section class="list events mounts" aria-label="Mounts">
      <div class="scroll" tabIndex={0} role="region" aria-label="What is mounted now">
        <table>
          <thead><tr><th scope="col">since</th><th scope="col">class</th><th scope="col">whose</th><th scope="col">where and what</th><th scope="col">type</th></tr></thead>
          <tbody>{(all ?? []).map((m) => <Row key={`${m.path} ${m.source ?? ''} ${m.device ?? ''}`} m={m} />)}</tbody>
        </table>
        {all?.length === 0 && <div class="empty"><p>Nobody looks at mounts here: tallyman watch does.</p></div>}
      </div>
    </section>
  );
}

function Row({ m }: { m: Mount }): VNode {
  return (
    <tr title={m.why ?? ''}>
      <td class="c-start">{m.since && <time dateTime={m.since}><span class="date">{dateOf(m.since, utc.value)}</span> {timeOf(m.since, utc.value)}</time>}</td>
      <td class="kind">{m.to_class}</td>
      <td class="by">{m.user}</td>
      <td class="what"><b>{m.path}</b> {m.device}{!m.folder && m.source && m.source !== m.share && ` (${m.source})`}{m.read_only && ', read-only'}</td>
      <td class="witness">{m.folder ? 'in step' : m.fs}</td>
    </tr>
  );
}
