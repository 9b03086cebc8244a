/**
 * The messages between the service and an engine's process, in the structured-clone form of `child_process`, which carries typed arrays.
 * One call is under way at a time; its reply ends it, events may come before.
 */
import type { Answer, NullImage } from '#domain/answer.ts';
import type { ErrorCode } from '#domain/errors.ts';
import type { Part } from '#model/encoded.ts';
import type { Ability } from '#model/onnx/sizes.ts';
import type { KnownAnswers } from './known-answer.ts';
import type { Provider } from './port.ts';

export interface AskRequest {
  /** The prompt before the family's template. */
  readonly parts: readonly Part[];
  /** The bundle's task that the parts word, whose own template is taken then; absent = the bundle's template. */
  readonly task?: string;
  /** null = the bundle's limit. */
  readonly maxNewTokens: number | null;
}

export interface AskReply {
  readonly answer: Answer;
  /** Names the prompt and its answer for `score` and `release`. */
  readonly promptId: string;
  /** The text after the template, as the model read it; null where the family splices tensors without any. */
  readonly promptText: string | null;
  readonly inputIds: readonly number[];
}

export interface OpenReply {
  readonly bundle: { readonly name: string; readonly version: string; readonly digest: string };
  readonly needs: readonly Ability[];
  readonly knownAnswers: KnownAnswers;
}

/** Name of a call -> what it takes and gives. */
export interface Calls {
  probe: { readonly request: { readonly provider: Provider }; readonly reply: KnownAnswers };
  open: {
    readonly request: { readonly provider: Provider; readonly bundleDir: string; readonly threads: number | null };
    readonly reply: OpenReply;
  };
  ask: { readonly request: AskRequest; readonly reply: AskReply };
  score: {
    readonly request: { readonly promptId: string; readonly keep: readonly boolean[]; readonly nullImage: NullImage };
    readonly reply: readonly number[];
  };
  release: { readonly request: { readonly promptId: string }; readonly reply: null };
}

export type CallName = keyof Calls;

/** Parent to child. */
export type CallMessage = {
  readonly [name in CallName]: { readonly id: number; readonly call: name; readonly request: Calls[name]['request'] };
}[CallName];

/** Child to parent. `text` is what the answer has grown by. */
export type ReplyMessage =
  | { readonly id: number; readonly kind: 'text'; readonly text: string }
  | { readonly id: number; readonly kind: 'value'; readonly value: Calls[CallName]['reply'] }
  | { readonly id: number; readonly kind: 'error'; readonly code: ErrorCode; readonly message: string; readonly hint: string | null };
