// How one gets in: by the set-up link that the server printed, or by name and password.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { VNode } from 'preact';
import { post, Problem } from './api';
import { Mark } from './icons';
import { choosePassword, needs, user } from './state';

export function Login(): VNode {
  const error = useSignal('');
  const busy = useSignal(false);
  const link = useSignal(new URLSearchParams(location.hash.slice(1)).get('setup') ?? '');

  const enter = async (body: { link?: string; name?: string; password?: string }): Promise<void> => {
    busy.value = true;
    error.value = '';
    try {
      const who = await post<{ name: string }>('login', body);
      history.replaceState(null, '', location.pathname + location.search); // the link is used up: it leaves the address bar
      user.value = who.name;
      needs.value = '';
    } catch (err) {
      error.value = err instanceof Problem ? err.message : 'The server does not answer: is it still running?';
      if (err instanceof Problem && err.status === 403) link.value = '';
    } finally {
      busy.value = false;
    }
  };

  useEffect(() => {
    if (link.value && !choosePassword.value) void enter({ link: link.value });
  }, []);

  const submit = (e: SubmitEvent): void => {
    e.preventDefault();
    const f = new FormData(e.currentTarget as HTMLFormElement);
    const password = String(f.get('password') ?? '');
    void enter(link.value ? { link: link.value, password } : { name: String(f.get('name') ?? ''), password });
  };

  const form = link.value ? choosePassword.value : needs.value === 'login';
  return (
    <main class="login">
      <h1><Mark /><span>Tallyman</span></h1>
      {!form && !link.value && <p>Open the set-up link that the server printed when it started. It works once; a restart prints a new one.</p>}
      {!form && link.value && <p aria-busy="true">Opening…</p>}
      {form && (
        <form onSubmit={submit}>
          {link.value
            ? <p>This page can be reached from other machines, so it needs a password. It is for the account <b>admin</b>.</p>
            : <label>Name<input name="name" autoComplete="username" required autoFocus /></label>}
          <label>{link.value ? 'New password, 10 characters or more' : 'Password'}
            <input name="password" type="password" required minLength={link.value ? 10 : 1} autoComplete={link.value ? 'new-password' : 'current-password'} />
          </label>
          <button type="submit" class="primary" disabled={busy.value}>{link.value ? 'Set password and open' : 'Log in'}</button>
        </form>
      )}
      <p class="error" role="alert">{error.value}</p>
    </main>
  );
}
