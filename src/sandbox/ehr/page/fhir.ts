/** The page's view of FHIR and DICOMweb: only what it shows, read loosely, since it is a demonstration and not a client library. */

export interface Resource {
  readonly resourceType: string;
  readonly id?: string;
  readonly [member: string]: unknown;
}

export interface Place {
  readonly fhir: string;
  readonly dicomweb: string;
  readonly cds: string;
  readonly user: string;
  /** Patient id -> what this patient is there to show. */
  readonly cases: Readonly<Record<string, string>>;
}

export function placeOfPage(): Place {
  const meta = (name: string) => document.querySelector<HTMLMetaElement>(`meta[name="wetread:${name}"]`)?.content ?? '';
  return {
    fhir: meta('fhir'),
    dicomweb: meta('dicomweb'),
    cds: meta('cds'),
    user: meta('user'),
    cases: JSON.parse(meta('cases') || '{}') as Record<string, string>,
  };
}

/** Reads a FHIR address; a resource, or null when there is none. @throws Error with the status otherwise */
export async function read(url: string): Promise<Resource | null> {
  const response = await fetch(url, { headers: { accept: 'application/fhir+json' } });
  if (response.status === 404 || response.status === 410) return null;
  if (!response.ok) throw new Error(`${new URL(url).pathname}: status ${response.status}`);
  return (await response.json()) as Resource; // a FHIR server's answer to a FHIR request
}

export async function search(url: string): Promise<readonly Resource[]> {
  const bundle = await read(url);
  const entries = (bundle?.entry ?? []) as readonly { readonly resource: Resource }[]; // R4 Bundle of type searchset
  return entries.map((entry) => entry.resource);
}

/** Resources of these references ("Type/id", all of one type), in their order; what is not there is left out. */
export async function readAll(base: string, references: readonly string[]): Promise<readonly Resource[]> {
  const [type] = references[0]?.split('/') ?? [];
  if (type === undefined) return [];
  const ids = references.map((reference) => reference.split('/').at(-1) ?? '');
  const found = await search(`${base}/${type}?_id=${ids.map(encodeURIComponent).join(',')}&_count=${ids.length}`);
  return ids.flatMap((id) => found.find((resource) => resource.id === id) ?? []);
}

/** DICOM JSON of a QIDO or metadata answer: tag -> {vr, Value}. */
export type DicomJson = Readonly<Record<string, { readonly vr: string; readonly Value?: readonly unknown[] }>>;

export async function dicom(url: string): Promise<readonly DicomJson[]> {
  const response = await fetch(url, { headers: { accept: 'application/dicom+json' } });
  if (response.status === 204 || response.status === 404) return [];
  if (!response.ok) throw new Error(`${new URL(url).pathname}: status ${response.status}`);
  return (await response.json()) as DicomJson[]; // PS3.18 annex F
}

export function value(item: DicomJson, tag: string): string {
  const first = item[tag]?.Value?.[0];
  if (typeof first === 'object' && first !== null && 'Alphabetic' in first) return String(first.Alphabetic);
  return first === undefined ? '' : String(first);
}

/** Sentences of an SR's content tree, with the depth of each. */
export function srText(item: DicomJson, depth = 0): readonly { readonly depth: number; readonly text: string }[] {
  const children = (item['0040A730']?.Value ?? []) as readonly DicomJson[]; // ContentSequence
  return children.flatMap((child) => {
    const concept = (child['0040A043']?.Value?.[0] ?? {}) as DicomJson;
    const meaning = value(concept, '00080104');
    const type = value(child, '0040A040');
    const text = value(child, '0040A160');
    const line = type === 'CONTAINER' ? meaning : type === 'TEXT' ? text : '';
    return [...(line === '' ? [] : [{ depth, text: line }]), ...(type === 'CONTAINER' ? srText(child, depth + 1) : [])];
  });
}
