/** What wetread wrote, read back as any other client would: drafts through FHIR, structured reports through DICOMweb. */

interface Reference {
  readonly reference: string;
}

interface Extension {
  readonly url: string;
  readonly valueId?: string;
  readonly extension?: readonly Extension[];
}

interface Resource {
  readonly resourceType: string;
  readonly id: string;
  readonly status: string;
  readonly result?: readonly Reference[];
  readonly imagingStudy?: readonly Reference[];
  readonly identifier?: readonly { readonly system?: string; readonly value?: string }[];
  readonly valueString?: string;
  readonly note?: readonly { readonly text: string }[];
  readonly derivedFrom?: readonly (Reference & { readonly extension?: readonly Extension[] })[];
}

export interface DraftReport {
  readonly id: string;
  readonly status: string;
  readonly studyUid: string;
  /** `images` are SOP Instance UIDs. */
  readonly statements: readonly { readonly text: string; readonly note: string; readonly images: readonly string[] }[];
}

async function json(url: string, accept: string): Promise<unknown> {
  const response = await fetch(url, { headers: { accept } });
  if (response.status === 204) return [];
  if (!response.ok) throw new Error(`${url}: status ${response.status}`);
  return response.json();
}

const fhirType = 'application/fhir+json';

function instancesOf(extensions: readonly Extension[]): string[] {
  return extensions.flatMap(({ url, valueId, extension }) => [
    ...(url === 'instance' && valueId !== undefined ? [valueId] : []),
    ...instancesOf(extension ?? []),
  ]);
}

/** The patient's draft reports (security label AIAST). */
export async function reportsOf(fhir: string, patientId: string): Promise<DraftReport[]> {
  const found = (await json(`${fhir}/DiagnosticReport?patient=${patientId}&_security=AIAST`, fhirType)) as {
    entry?: readonly { resource: Resource }[];
  };
  const read = async ({ reference }: Reference) => (await json(`${fhir}/${reference}`, fhirType)) as Resource;
  return Promise.all(
    (found.entry ?? []).map(async ({ resource }) => {
      const [study] = await Promise.all((resource.imagingStudy ?? []).map(read));
      const statements = await Promise.all((resource.result ?? []).map(read));
      return {
        id: resource.id,
        status: resource.status,
        studyUid: study?.identifier?.find(({ value }) => value?.startsWith('urn:oid:'))?.value?.slice('urn:oid:'.length) ?? '',
        statements: statements.map((one) => ({
          text: one.valueString ?? '',
          note: (one.note ?? []).map(({ text }) => text).join(' '),
          images: (one.derivedFrom ?? []).flatMap(({ extension }) => instancesOf(extension ?? [])),
        })),
      };
    }),
  );
}

type Dataset = Readonly<Record<string, { readonly vr: string; readonly Value?: readonly unknown[] }>>;

function items(dataset: Dataset): Dataset[] {
  return Object.values(dataset).flatMap(({ vr, Value }) =>
    vr === 'SQ' ? ((Value ?? []) as Dataset[]).flatMap((item) => [item, ...items(item)]) : [],
  );
}

function texts(datasets: readonly Dataset[], tag: string): string[] {
  return datasets.flatMap((one) => (one[tag]?.Value ?? []).map(String));
}

export interface StructuredReport {
  readonly text: string;
  /** Distinct SOP Instance UIDs under the content tree's IMAGE items, sorted. */
  readonly images: readonly string[];
  /** Those that the PACS does not have. */
  readonly missing: readonly string[];
}

const dicomType = 'application/dicom+json';
const isImage = (item: Dataset) => texts([item], '0040A040').includes('IMAGE');

/** Structured reports of a study. */
export async function structuredReportsOf(root: string, studyUid: string): Promise<StructuredReport[]> {
  const series = (await json(`${root}/studies/${studyUid}/series?Modality=SR`, dicomType)) as Dataset[];
  const found = await Promise.all(
    texts(series, '0020000E').map(
      async (uid) => (await json(`${root}/studies/${studyUid}/series/${uid}/metadata`, dicomType)) as Dataset[],
    ),
  );
  return Promise.all(
    found.flat().map(async (instance) => {
      const content = ((instance['0040A730']?.Value ?? []) as Dataset[]).flatMap((item) => [item, ...items(item)]);
      const referenced = content.filter(isImage).flatMap((item) => (item['00081199']?.Value ?? []) as Dataset[]);
      const images = [...new Set(texts(referenced, '00081155'))].sort();
      const held = await Promise.all(
        images.map(async (uid) => ((await json(`${root}/instances?SOPInstanceUID=${uid}`, dicomType)) as Dataset[]).length > 0),
      );
      return { text: texts(content, '0040A160').join('\n'), images, missing: images.filter((_uid, index) => !held[index]) };
    }),
  );
}
