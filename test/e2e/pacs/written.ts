/** What the service wrote for a study, read back from the FHIR server as anyone would: the report and all that belongs to it. */
import { z } from 'zod';
import { extension } from '#report/canonical.ts';

const reference = z.object({ reference: z.string() });
const extensionForm = z.looseObject({ url: z.string() });
const resource = z.looseObject({ resourceType: z.string(), id: z.string() });
export type WrittenResource = z.infer<typeof resource>;

// Defaults are for reading only: what is validated is the resource as the server gave it.
const reportForm = resource.extend({
  extension: z.array(z.looseObject({ url: z.string(), valueString: z.string().optional() })).default([]),
  imagingStudy: z.array(z.looseObject({ reference: z.string().optional() })).default([]),
  result: z.array(reference).default([]),
  media: z.array(z.object({ link: reference })).default([]),
});

const observationForm = resource.extend({
  valueString: z.string(),
  device: reference,
  derivedFrom: z.array(z.looseObject({ extension: z.array(extensionForm).default([]) })).default([]),
});

const evidenceForm = z.object({
  extension: z.array(z.looseObject({ url: z.string(), valueId: z.string().optional(), valuePositiveInt: z.int().optional() })),
});

export interface Cited {
  readonly study: string;
  readonly series: string;
  readonly instance: string;
  /** Null = a single-frame object. */
  readonly frame: number | null;
}

export interface Written {
  readonly report: WrittenResource;
  readonly draftKey: string;
  /** References to ImagingStudy resources that the report is about. */
  readonly imagingStudy: readonly string[];
  /** Text of each Observation, in the report's order. */
  readonly sentences: readonly string[];
  readonly cited: readonly Cited[];
  /** Report, Observations, Media, Devices, Provenance. */
  readonly resources: readonly WrittenResource[];
}

async function json(url: string): Promise<unknown> {
  const response = await fetch(url, { headers: { accept: 'application/fhir+json' } });
  if (!response.ok) throw new Error(`the FHIR server: ${url} gave ${response.status}`);
  return response.json();
}

const bundleForm = z.object({ entry: z.array(z.object({ resource })).default([]) });

/** First page of at most 200; more is an error. */
export async function searchAll(base: string, query: string): Promise<readonly WrittenResource[]> {
  const bundle = bundleForm
    .extend({ link: z.array(z.object({ relation: z.string() })).default([]) })
    .parse(await json(`${base}/${query}&_count=200`));
  if (bundle.link.some(({ relation }) => relation === 'next')) throw new Error(`${query} has more than one page`);
  return bundle.entry.map((entry) => entry.resource);
}

function citedBy(observation: z.infer<typeof observationForm>): Cited[] {
  return observation.derivedFrom.flatMap((source) =>
    source.extension
      .filter(({ url }) => url === extension.imageEvidence)
      .map((one) => {
        const parts = evidenceForm.parse(one).extension;
        const part = (name: string) => parts.find(({ url }) => url === name);
        const uid = (name: string) => part(name)?.valueId ?? '';
        return { study: uid('study'), series: uid('series'), instance: uid('instance'), frame: part('frame')?.valuePositiveInt ?? null };
      }),
  );
}

/** Reports of the patient that wetread wrote: those with a draft key. */
export async function draftReports(base: string, patient: string): Promise<readonly WrittenResource[]> {
  const found = await searchAll(base, `DiagnosticReport?patient=${patient}`);
  return found.filter((one) => reportForm.parse(one).extension.some(({ url }) => url === extension.draftKey));
}

async function read(base: string, reference: string): Promise<WrittenResource> {
  return resource.parse(await json(`${base}/${reference}`));
}

const agents = z.object({
  agent: z.array(z.object({ who: z.object({ reference: z.string().optional() }) })).default([]),
});

async function writtenWith(base: string, raw: WrittenResource): Promise<Written> {
  const report = reportForm.parse(raw);
  const observations = await Promise.all(report.result.map((one) => read(base, one.reference)));
  const parsed = observations.map((one) => observationForm.parse(one));
  const provenance = await searchAll(base, `Provenance?target=DiagnosticReport/${report.id}`);
  const named = provenance.flatMap((one) => agents.parse(one).agent.flatMap(({ who }) => who.reference ?? []));
  const others = new Set([
    ...report.media.map(({ link }) => link.reference),
    ...parsed.map(({ device }) => device.reference),
    ...named.filter((one) => one.startsWith('Device/')),
  ]);
  const rest = await Promise.all([...others].map((one) => read(base, one)));
  return {
    report: raw,
    draftKey: report.extension.find(({ url }) => url === extension.draftKey)?.valueString ?? '',
    imagingStudy: report.imagingStudy.flatMap((one) => one.reference ?? []),
    sentences: parsed.map(({ valueString }) => valueString),
    cited: parsed.flatMap(citedBy),
    resources: [raw, ...observations, ...rest, ...provenance],
  };
}

/** Every draft of the patient that was written, with everything that its report refers to. */
export async function writtenFor(base: string, patient: string): Promise<readonly Written[]> {
  return Promise.all((await draftReports(base, patient)).map((report) => writtenWith(base, report)));
}
