/** The part of oidc-provider that the sandbox uses; the package has no types of its own. */
declare module 'oidc-provider' {
  import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';

  export interface Client {
    readonly clientId: string;
    readonly clientAuthMethod: string;
  }

  export interface Token {
    readonly grantId?: string;
    readonly clientId: string;
    readonly accountId?: string;
    readonly scope?: string;
    readonly exp: number;
    readonly isExpired: boolean;
  }

  export interface Context {
    readonly oidc: {
      readonly route: string;
      readonly params?: Readonly<Record<string, unknown>>;
      readonly result?: { readonly consent?: { readonly grantId?: string } };
      readonly entities: { readonly AccessToken?: Token; readonly ClientCredentials?: Token; readonly RefreshToken?: Token };
    };
    body: unknown;
    status: number;
    type: string;
  }

  export interface Grant {
    addOIDCScope(scope: string): void;
    addResourceScope(resource: string, scope: string): void;
    save(): Promise<string>;
  }

  export interface Interaction {
    readonly uid: string;
    readonly params: Readonly<Record<string, unknown>>;
  }

  /** Storage of one model; payloads are plain JSON. */
  export interface Adapter {
    upsert(id: string, payload: Payload, expiresIn?: number): Promise<void>;
    find(id: string): Promise<Payload | undefined>;
    findByUserCode(userCode: string): Promise<Payload | undefined>;
    findByUid(uid: string): Promise<Payload | undefined>;
    consume(id: string): Promise<void>;
    destroy(id: string): Promise<void>;
    revokeByGrantId(grantId: string): Promise<void>;
  }

  export interface Payload {
    readonly uid?: string;
    readonly grantId?: string;
    readonly [member: string]: unknown;
  }

  export class Provider {
    constructor(issuer: string, configuration: Readonly<Record<string, unknown>>);
    callback(): RequestListener;
    use(middleware: (context: Context, next: () => Promise<void>) => Promise<void>): void;
    on(event: 'server_error', listener: (context: Context, error: Error) => void): void;
    interactionDetails(request: IncomingMessage, response: ServerResponse): Promise<Interaction>;
    interactionFinished(
      request: IncomingMessage,
      response: ServerResponse,
      result: Readonly<Record<string, unknown>>,
      options: { readonly mergeWithLastSubmission: boolean },
    ): Promise<void>;
    readonly Grant: { new (properties: { accountId: string; clientId: string }): Grant; find(id: string): Promise<Grant | undefined> };
    readonly AccessToken: { find(token: string): Promise<Token | undefined> };
    readonly ClientCredentials: { find(token: string): Promise<Token | undefined> };
  }

  export const errors: {
    readonly InvalidTarget: new (description: string) => Error;
    readonly InvalidRequest: new (description: string) => Error;
  };
}
