// The why of one record: the sentence, the facts, one lane for each witness, and what evidence is missing.
import { useEffect, useRef } from 'preact/hooks';
import type { ComponentChildren, VNode } from 'preact';
import { batch } from '@preact/signals';
import { Copy } from './copy';
import { quote } from './filter';
import { between, bytes, count, stamp, timeOf, took } from './format';
import { Judged, look, Sign, VerdictIcon, VerdictMark } from './icons';
import { from, open, q, reasons, system, to, told, utc } from './state';
import { opWord, probably } from './words';
import type { Evidence, Lane, Transfer } from './words';

export function Why(): VNode | null {
  const box = useRef<HTMLElement>(null);
  const id = open.value;
  useEffect(() => {
    if (id) box.current?.focus({ preventScroll: true });
  }, [id]);
  if (!id) return null;
  const w = told.value;
  const t = w?.transfer.id === id ? w.transfer : undefined;
  return (
    <aside class="why" ref={box} tabIndex={-1} aria-label="Why">
      <div class="whyhead">
        {t && <Judged of={t} />}
        {t && probably(t) && <span class="probably">probably {probably(t)}</span>}
        <span class="grow" />
        {t && <Copy text={() => `tallyman why ${t.id}`}>command</Copy>}
        {t && <Copy text={() => `curl -H "Authorization: Bearer $TALLYMAN_TOKEN" ${quote(`${location.origin}/api/v1/transfers/${t.id}`)}`}>curl</Copy>}
        <button type="button" class="quiet" aria-label="Close" title="Close (Esc)" onClick={() => (open.value = '')}><Sign of="close" /></button>
      </div>
      {!t || !w ? <p class="calm" aria-busy="true">…</p> : (
        <>
          <h2 class="name">{t.file || t.path || t.id}</h2>
          <p class={`sentence v-${look(t)}`}>{w.sentence}</p>
          {w.missing.length > 0 && (
            <div class="missing">
              <h3>Evidence that is missing</h3>
              <ul>{w.missing.map((m) => <li key={m}><Sign of="eyeoff" /><Lacking text={m} /></li>)}</ul>
            </div>
          )}
          {w.lanes && w.lanes.length > 0 && <Testimony lanes={w.lanes} />}
          {t.evidence && <Lanes t={t} evidence={t.evidence} lanes={w.lanes ?? []} />}
          {t.rev > 0 && <Facts t={t} />}
        </>
      )}
    </aside>
  );
}

function Facts({ t }: { t: Transfer }): VNode {
  const who = t.client?.ip;
  const name = t.file || t.path;
  const size = t.expected !== undefined && t.expected !== t.bytes ? `, ${count(t.expected)} announced` : '';
  return (
    <dl class="facts">
      <Fact name="client">{who && <><code>{who}{t.client?.port ? `:${t.client.port}` : ''}</code> <Same query={`client:${who}`}>same client</Same></>}</Fact>
      <Fact name="file">{name && <><code>{name}</code> <Same query={`file:${quoted(name)}`}>same file</Same></>}</Fact>
      <Fact name="path">{t.path && t.path !== name && <code>{t.path}</code>}</Fact>
      <Fact name="new path">{t.new_path && <code>{t.new_path}</code>}</Fact>
      <Fact name="what">{[opWord(t.op), 'by', t.proto, t.host && `on ${t.host}`].filter(Boolean).join(' ')}</Fact>
      <Fact name="server">{t.server?.ip && <code>{t.server.ip}{t.server.port ? `:${t.server.port}` : ''}</code>} {t.server?.software}</Fact>
      <Fact name="user">{t.user ?? t.who_why}</Fact>
      <Fact name="start">{stamp(t.start, utc.value)}</Fact>
      <Fact name="end">{t.end && `${stamp(t.end, utc.value)}, after ${took(t.took_ms)}`}</Fact>
      <Fact name="bytes">{t.bytes !== undefined && `${count(t.bytes)}${t.bytes >= 1024 ? ` (${bytes(t.bytes)})` : ''}${size}${speed(t)}`}</Fact>
      <Fact name="sha256">{t.sha256 && <><code class="hash">{t.sha256}</code><Copy text={() => t.sha256 ?? ''} label="Copy the SHA-256" /></>}</Fact>
      <Fact name="content">{t.content}</Fact>
      <Fact name="reason">{t.reason && <code>{t.reason}</code>}</Fact>
      <Fact name="agreed">{t.witnesses?.join(', ')}</Fact>
      <Fact name="against">{t.against?.join(', ')}</Fact>
      {details(t.details).map(([k, v]) => <Fact key={k} name={k}><code>{v}</code></Fact>)}
      <Fact name="record"><code>{t.id}</code> revision {t.rev}</Fact>
    </dl>
  );
}

function Fact({ name, children }: { name: string; children?: ComponentChildren }): VNode | null {
  const empty = (c: ComponentChildren): boolean => (Array.isArray(c) ? c.every(empty) : c === undefined || c === null || c === false || c === '' || c === ' ');
  return empty(children) ? null : <><dt>{name}</dt><dd>{children}</dd></>;
}

/** A link that puts a query into the filter. */
function Same({ query, children }: { query: string; children: ComponentChildren }): VNode {
  return (
    <a href={'?' + new URLSearchParams({ q: query, from: '' })} onClick={(e) => {
      e.preventDefault();
      batch(() => {
        q.value = query;
        from.value = '';
        to.value = '';
      });
    }}>{children}</a>
  );
}

const quoted = (name: string): string => (/^[\w./:-]+$/.test(name) ? name : `"${name.replace(/["\\]/g, '\\$&')}"`);

function speed(t: Transfer): string {
  return t.bytes && t.took_ms && t.took_ms > 0 ? `, ${bytes((1000 * t.bytes) / t.took_ms)}/s` : '';
}

/** Protocol facts as lines: nested ones become name.part. */
function details(d: Record<string, unknown> | undefined, prefix = ''): [string, string][] {
  return Object.entries(d ?? {}).flatMap(([k, v]): [string, string][] => {
    if (v && typeof v === 'object' && !Array.isArray(v)) return details(v as Record<string, unknown>, `${prefix}${k} `);
    return [[prefix + k.replaceAll('_', ' '), Array.isArray(v) ? v.join(', ') : String(v)]];
  });
}

/** Evidence that is missing; behind the arrow stands what would bring it. */
function Lacking({ text }: { text: string }): VNode {
  const [what, more] = text.split(' -> ');
  return <span>{what}{more && <span class="remedy">{more}</span>}</span>;
}

const sides = { for: 'bears it out', against: 'against', silent: 'says nothing', absent: 'did not see' } as const;

/** What each witness says alone: its own verdict, what it counted, what it lacks. */
function Testimony({ lanes }: { lanes: Lane[] }): VNode {
  return (
    <section class="testimony" aria-label="What each witness says alone">
      <h3>What each witness says alone</h3>
      <ul>
        {lanes.map((l) => (
          <li key={l.witness} class={`side-${l.side} ${l.verdict ? `v-${l.verdict}` : ''}`}>
            <div class="who">
              <b>{l.witness}</b>
              {l.verdict && <VerdictMark of={l.verdict} />}
              {(l.side !== 'for' || !l.verdict) && <span class="side">{l.side === 'against' && <Sign of="warn" />}{sides[l.side]}</span>}
            </div>
            {l.alone && <p>{l.alone}</p>}
            {l.facts && l.facts.length > 0 && (
              <dl>{l.facts.map((f) => <Fact key={f.name} name={f.name}><span class={f.name === 'file' || f.text.startsWith('sha256:') ? 'raw' : ''}>{f.text}</span></Fact>)}</dl>
            )}
            {(l.lacks ?? []).map((k) => (
              <p key={k.what} class="lack"><Sign of="eyeoff" /><span><span class="hidden">missing: </span>{k.what}{k.more && <span class="remedy">{k.more}</span>}</span></p>
            ))}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** One column for each witness; one that said nothing about this record has an empty one. */
function Lanes({ t, evidence, lanes: told }: { t: Transfer; evidence: Evidence[]; lanes: Lane[] }): VNode {
  const spoke = [...new Set(evidence.map((e) => e.witness))];
  const silent = told.length > 0
    ? told.filter((l) => !spoke.includes(l.witness)).map((l) => l.witness)
    : (system.value?.witnesses ?? []).filter((w) => w.state === 'live' && !spoke.includes(w.name)).map((w) => w.name);
  const place = (name: string): number => told.findIndex((l) => l.witness === name);
  const lanes = [...spoke, ...silent].sort((a, b) => place(a) - place(b));
  return (
    <section class="lanes" aria-label="Timeline of evidence">
      <h3>Evidence</h3>
      <table class={`n${Math.min(lanes.length, 6)}`}>
        <thead>
          <tr>
            <th scope="col">{utc.value ? 'UTC' : 'local'}</th>
            {lanes.map((l) => <th key={l} scope="col" class={`lane ${silent.includes(l) ? 'silent' : ''}`} title={silent.includes(l) ? 'says nothing of it' : ''}>{l}</th>)}
            <th scope="col" class="says">says</th>
          </tr>
        </thead>
        <tbody>
          {evidence.map((e, i) => (
            <tr key={i}>
              <td class="at"><time dateTime={e.at}>{e.at && timeOf(e.at, utc.value, true)}</time><small>{e.at && offset(between(t.start, e.at))}</small></td>
              {lanes.map((l) => (
                <td key={l} class={`lane ${silent.includes(l) ? 'silent' : ''}`}>
                  {l === e.witness && <Dot e={e} />}
                </td>
              ))}
              <td class="says">{e.says}{e.raw && <pre>{e.raw.replace(/\\n$/, '')}</pre>}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** What ends a transfer wears the icon of what this witness, taken alone, says of it. */
function Dot({ e }: { e: Evidence }): VNode {
  const v = e.kind === 'closed' || e.kind === 'refusal' ? reasons.value.get(e.reason ?? '')?.verdict : undefined;
  return <span class={`dot k-${e.kind} ${v ? `end v-${v}` : ''}`}>{v && <VerdictIcon of={v} />}<span class="hidden">{e.witness}</span></span>;
}

function offset(ms: number): string {
  const n = Math.abs(ms);
  return (ms < 0 ? '−' : '+') + (n < 10 ? `${n.toFixed(2)} ms` : n < 1000 ? `${n.toFixed(1)} ms` : `${(n / 1000).toFixed(2)} s`);
}
