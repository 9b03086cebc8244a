/** The page's document, for the server that makes it and the page that shows it, and how the page reads it. */

export interface Statement {
  readonly number: number;
  readonly text: string;
  readonly words: string;
  readonly dependence: string;
  readonly images: readonly { readonly number: number; readonly share: number | null }[];
  readonly holds: readonly string[];
}

export interface Image {
  readonly number: number;
  readonly label: string;
  readonly words: string;
  readonly prior: boolean;
  /** Relative address, null once retention removed the picture. */
  readonly source: string | null;
  readonly width: number;
  readonly height: number;
}

export interface Delivery {
  readonly target: string;
  readonly state: 'held' | 'pending' | 'delivered' | 'dead';
  readonly words: string;
  readonly detail: string | null;
}

export interface Ready {
  readonly state: 'ready';
  readonly notice: string;
  readonly stamp: string | null;
  /** The banner by which a reader sees whose draft this is. */
  readonly patient: { readonly name: string; readonly facts: readonly string[] };
  readonly study: string;
  /** Earlier drafts of the study that this one takes the place of. */
  readonly supersedes: readonly string[];
  readonly reasons: readonly string[];
  /** Studies that the draft was compared with, each with why. */
  readonly priors: readonly string[];
  readonly sections: readonly { readonly title: string; readonly statements: readonly Statement[] }[];
  readonly images: readonly Image[];
  readonly history: readonly string[];
  readonly quoted: readonly string[];
  readonly leftOut: readonly { readonly what: string; readonly reason: string }[];
  readonly warnings: readonly string[];
  readonly method: readonly string[];
  readonly model: string;
  readonly generatedAt: string;
  readonly deliveries: readonly Delivery[];
}

/** What the server sends (launch/page-document.ts makes it). */
export type PageDocument =
  | { readonly state: 'queued' }
  | { readonly state: 'failed'; readonly code: string; readonly message: string }
  | Ready;

/** `unreachable` with `again` may pass by itself; without, only a new launch helps. */
export type PageState =
  | PageDocument
  | { readonly state: 'loading' }
  | { readonly state: 'unreachable'; readonly message: string; readonly again: boolean };

/** The document of this session; what went wrong is a sentence for the reader. */
export async function readDocument(): Promise<PageState> {
  try {
    const response = await fetch('draft.json', { headers: { accept: 'application/json' } });
    if (response.ok) return (await response.json()) as PageState; // our own server's answer, same version as this module
    if (response.status === 401)
      return { state: 'unreachable', message: 'The session ended. Open the link on the card again.', again: false };
    if (response.status === 404)
      return { state: 'unreachable', message: 'This draft is not kept any more. Sign the order again for a new one.', again: false };
    return { state: 'unreachable', message: `The service answered ${response.status}. Asking again.`, again: true };
  } catch {
    // No connection: the page says so and keeps asking.
    return { state: 'unreachable', message: 'The service does not answer. Asking again.', again: true };
  }
}
