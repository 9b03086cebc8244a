/** `wetread ask`: one prompt on picture files, from the shell. Pictures come first, in the order given, then the text. */
import type { Answer, PromptPart, RawImage } from '#domain/answer.ts';
import { WetreadError } from '#domain/errors.ts';

export interface AskCommand {
  readonly images: readonly string[];
  readonly text: string;
  /** null = the bundle's limit. */
  readonly maxNewTokens: number | null;
}

export interface AskPorts {
  /** Pictures of a file: one for a PNG, one per frame for DICOM. */
  readonly load: (path: string) => Promise<readonly RawImage[]>;
  /** The engine's ask; `onText` gets what the answer grows by. */
  readonly ask: (
    request: { readonly parts: readonly PromptPart[]; readonly maxNewTokens: number | null },
    onText: (text: string) => void,
  ) => Promise<{ readonly answer: Answer }>;
  readonly write: (text: string) => void;
}

/** Streams the answer to `write` and gives it whole. @throws request-malformed for an empty text; what the ports throw */
export async function ask(command: AskCommand, ports: AskPorts): Promise<Answer> {
  if (command.text.trim() === '') throw new WetreadError('request-malformed', 'the text is empty', { hint: 'give it with --text "..."' });
  const parts: PromptPart[] = [];
  for (const path of command.images) {
    for (const image of await ports.load(path)) parts.push({ kind: 'image', image });
  }
  parts.push({ kind: 'text', text: command.text });
  const { answer } = await ports.ask({ parts, maxNewTokens: command.maxNewTokens }, ports.write);
  return answer;
}
