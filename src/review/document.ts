/** The page's document as the server sends it (launch/page-document.ts makes it), and how it is read. */

export interface Statement {
  readonly number: number;
  readonly text: string;
  readonly words: string;
  readonly dependence: string;
  readonly images: readonly { readonly number: number; readonly share: number | null }[];
  readonly holds: readonly string[];
}

export interface Ready {
  readonly state: 'ready';
  readonly notice: string;
  readonly stamp: string | null;
  readonly patient: string;
  readonly study: string;
  readonly reasons: readonly string[];
  readonly sections: readonly { readonly title: string; readonly statements: readonly Statement[] }[];
  readonly images: readonly {
    readonly number: number;
    readonly words: string;
    readonly prior: boolean;
    readonly source: string | null;
    readonly width: number;
    readonly height: number;
  }[];
  readonly history: readonly string[];
  readonly quoted: readonly string[];
  readonly leftOut: readonly { readonly what: string; readonly reason: string }[];
  readonly warnings: readonly string[];
  readonly method: readonly string[];
  readonly model: string;
  readonly generatedAt: string;
  readonly deliveries: readonly { readonly target: string; readonly state: string; readonly detail: string }[];
}

export type Document =
  | { readonly state: 'loading' | 'queued' }
  | { readonly state: 'failed'; readonly code: string; readonly message: string }
  | { readonly state: 'unreachable'; readonly message: string }
  | Ready;

/** The document of this session; what went wrong is a sentence for the reader. */
export async function readDocument(): Promise<Document> {
  try {
    const response = await fetch('draft.json', { headers: { accept: 'application/json' } });
    if (response.ok) return (await response.json()) as Document; // our own server's answer, same version as this module
    return {
      state: 'unreachable',
      message: response.status === 401 ? 'The session ended. Open the link on the card again.' : `The service answered ${response.status}.`,
    };
  } catch {
    return { state: 'unreachable', message: 'The service does not answer. Reload the page to try again.' };
  }
}
