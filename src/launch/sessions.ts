/**
 * Launches that are under way and review sessions, in memory: a token is never written anywhere.
 *
 * Two launches never share a slot: each review session has its own id in the URL and its own cookie, so two tabs with two patients stay
 * apart (SMART row S25). A restart ends all sessions, and the card's link opens a new one.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

export interface PendingLaunch {
  readonly issuer: string;
  readonly codeVerifier: string;
  readonly nonce: string;
  /** Secret of the browser that began it. */
  readonly browser: string;
}

export interface ReviewSession {
  readonly id: string;
  readonly secret: string;
  readonly draftKey: string;
  readonly patientId: string;
  /** fhirUser of the id_token, null = not known. */
  readonly user: string | null;
}

export interface Sessions {
  /** Remembers a launch; gives its state, 256 bits. */
  begin(launch: PendingLaunch): string;
  /** The launch of a state, once, within ten minutes and in the same browser; else null. */
  take(state: string, browser: string): PendingLaunch | null;
  open(session: Omit<ReviewSession, 'id' | 'secret'>): ReviewSession;
  /** The session when its secret is right and it is not over; using it keeps it alive. */
  find(id: string, secret: string): ReviewSession | null;
}

const launchMs = 10 * 60_000;
const idleMs = 30 * 60_000;
const maxPending = 10_000;

const random = () => randomBytes(32).toString('base64url');

/** Compares secrets without telling how much of them is right. */
export function sameSecret(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text, 'utf8').digest();
  return timingSafeEqual(digest(a), digest(b));
}

export function openSessions(now: () => Date): Sessions {
  const pending = new Map<string, PendingLaunch & { readonly until: number }>();
  const sessions = new Map<string, ReviewSession & { until: number }>();
  const sweep = () => {
    const time = now().getTime();
    for (const [state, launch] of pending) if (launch.until < time) pending.delete(state);
    for (const [id, session] of sessions) if (session.until < time) sessions.delete(id);
    // A flood of launches pushes out the oldest, never the memory's limit.
    for (const state of pending.keys()) {
      if (pending.size < maxPending) break;
      pending.delete(state);
    }
  };
  return {
    begin(launch) {
      sweep();
      const state = random();
      pending.set(state, { ...launch, until: now().getTime() + launchMs });
      return state;
    },
    take(state, browser) {
      const launch = pending.get(state);
      pending.delete(state);
      if (launch === undefined || launch.until < now().getTime() || !sameSecret(launch.browser, browser)) return null;
      return launch;
    },
    open(session) {
      sweep();
      const opened = { ...session, id: random(), secret: random(), until: now().getTime() + idleMs };
      sessions.set(opened.id, opened);
      return opened;
    },
    find(id, secret) {
      const session = sessions.get(id);
      if (session === undefined || session.until < now().getTime() || !sameSecret(session.secret, secret)) return null;
      session.until = now().getTime() + idleMs;
      return session;
    },
  };
}
