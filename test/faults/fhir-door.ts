/** A door before the sandbox's FHIR server, at which a test changes what is asked and what is answered; links and Locations name the door. */
import { type Asked, serve } from '../net/servers.ts';

export interface DoorAnswer {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

export type Rule = (
  asked: Asked,
  forward: (changed?: Partial<Pick<Asked, 'url' | 'body' | 'headers'>>) => Promise<DoorAnswer>,
) => DoorAnswer | Promise<DoorAnswer>;

export interface FhirDoor {
  /** FHIR base of the door. */
  readonly base: string;
  readonly asked: readonly Asked[];
  /** Null = everything goes through as it is. */
  rule: Rule | null;
  close(): Promise<void>;
}

export const fhirJson = (resource: unknown, status = 200): DoorAnswer => ({
  status,
  body: JSON.stringify(resource),
  headers: { 'content-type': 'application/fhir+json' },
});

export async function openFhirDoor(target: string): Promise<FhirDoor> {
  const { origin, pathname } = new URL(target);
  const server = await serve(async (asked, response) => {
    const forward: Parameters<Rule>[1] = async (changed = {}) => {
      const { url, body, headers } = { ...asked, ...changed };
      const kept = ['accept', 'content-type', 'authorization', 'if-none-exist', 'prefer'].flatMap((name) =>
        headers[name] === undefined ? [] : [[name, String(headers[name])] as const],
      );
      const there = body.replaceAll(server.origin, origin);
      const answer = await fetch(`${origin}${url}`, {
        method: asked.method,
        headers: Object.fromEntries(kept),
        ...(there === '' ? {} : { body: Buffer.from(there, 'latin1') }),
      });
      const back = ['content-type', 'location', 'etag'].flatMap((name) => {
        const value = answer.headers.get(name);
        return value === null ? [] : [[name, value.replace(origin, server.origin)] as const];
      });
      const text = (await answer.text()).replaceAll(origin, server.origin);
      return { status: answer.status, body: text, headers: Object.fromEntries(back) };
    };
    const { status, body, headers } = await (door.rule === null ? forward() : door.rule(asked, forward));
    response.writeHead(status, headers).end(body);
  });
  const door: FhirDoor = { base: `${server.origin}${pathname}`, asked: server.asked, rule: null, close: server.close };
  return door;
}
