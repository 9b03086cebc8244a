/**
 * What a model asks another model for in its answer: `<VISTA3D(hepatic tumor)>`. Read as data, because it is no finding; none is run here.
 *
 * Only the whole form of a known expert with an argument that it takes is a request. Everything else between angle brackets is text and stays.
 */

export interface Expert {
  readonly name: string;
  /** What it does, in words that follow "for". */
  readonly what: string;
  /** Arguments that it takes, and which one an absent or empty one means; null = whatever is said in the parentheses is ignored. */
  readonly arguments: { readonly known: readonly string[]; readonly absent: string } | null;
}

export interface ExpertRequest {
  readonly name: string;
  readonly what: string;
  /** null = the expert takes none. */
  readonly argument: string | null;
  /** [start, end) of the mark in the answer's text, UTF-16 units. */
  readonly start: number;
  readonly end: number;
  /** Whether it is the only mark between angle brackets in the answer: the protocol follows no other. */
  readonly alone: boolean;
}

const form = /<([A-Za-z0-9]+)(?:\(([^()<>\n]*)\))?>/g;
const anyMark = /<(.*?)>/g;

/** The requests of an answer, in order. */
export function requestsOf(text: string, experts: readonly Expert[]): readonly ExpertRequest[] {
  const alone = [...text.matchAll(anyMark)].length === 1;
  return [...text.matchAll(form)].flatMap((match): ExpertRequest[] => {
    const [mark, name, given = ''] = match;
    const expert = experts.find((one) => one.name === name);
    if (expert === undefined) return [];
    const known = expert.arguments;
    const argument = known === null ? null : given === '' ? known.absent : given;
    if (known !== null && argument !== null && !known.known.includes(argument)) return [];
    return [{ name: expert.name, what: expert.what, argument, start: match.index, end: match.index + mark.length, alone }];
  });
}

/** For a reader, one sentence. */
export function requestLine({ name, what, argument }: Pick<ExpertRequest, 'name' | 'what' | 'argument'>): string {
  const asked = argument === null ? name : `${name} (${argument})`;
  return `The model asked for the expert ${asked}, for ${what}, which is not run here.`;
}

/** Whether [start, end) of the answer holds a request or a part of one. */
export function holdsRequest(
  { start, end }: { readonly start: number; readonly end: number },
  requests: readonly ExpertRequest[],
): boolean {
  return requests.some((request) => request.start < end && request.end > start);
}
