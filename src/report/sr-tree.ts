/**
 * Content items of a structured report as naturalized data: one function for each value type that wetread writes.
 *
 * Source: PS3.3 C.17.3 (relationships, value types).
 */
import type { ImageRef } from '#domain/study.ts';
import { oneLine } from './words.ts';

/** A data set with DICOM keywords as names; a sequence is an array of data sets. */
export type DataSet = { readonly [keyword: string]: string | number | readonly DataSet[] };

/** [value, scheme, meaning] of a code sequence item. */
export type ConceptCode = readonly [value: string, scheme: string, meaning: string];

type Relationship = 'CONTAINS' | 'HAS CONCEPT MOD' | 'HAS OBS CONTEXT' | 'INFERRED FROM';

export function codeItem([value, scheme, meaning]: ConceptCode): DataSet {
  return { CodeValue: value, CodingSchemeDesignator: scheme, CodeMeaning: meaning };
}

function item(relationship: Relationship, type: string, concept: ConceptCode | null, content: DataSet): DataSet {
  return {
    RelationshipType: relationship,
    ValueType: type,
    ...(concept === null ? {} : { ConceptNameCodeSequence: [codeItem(concept)] }),
    ...content,
  };
}

export function codeContent(relationship: Relationship, concept: ConceptCode, value: ConceptCode): DataSet {
  return item(relationship, 'CODE', concept, { ConceptCodeSequence: [codeItem(value)] });
}

export function uidContent(relationship: Relationship, concept: ConceptCode, uid: string): DataSet {
  return item(relationship, 'UIDREF', concept, { UID: uid });
}

export function textContent(relationship: Relationship, concept: ConceptCode, text: string, children: readonly DataSet[] = []): DataSet {
  return item(relationship, 'TEXT', concept, { TextValue: oneLine(text), ...content(children) });
}

export function containerContent(concept: ConceptCode, children: readonly DataSet[]): DataSet {
  return item('CONTAINS', 'CONTAINER', concept, { ContinuityOfContent: 'SEPARATE', ...content(children) });
}

/** An image that a text is inferred from; the frame number is written for a frame of a multi-frame object only. */
export function imageContent(concept: ConceptCode, ref: ImageRef): DataSet {
  return item('INFERRED FROM', 'IMAGE', concept, { ReferencedSOPSequence: [reference(ref)] });
}

function reference(ref: ImageRef): DataSet {
  return {
    ReferencedSOPClassUID: ref.sopClass,
    ReferencedSOPInstanceUID: ref.instance,
    ...(ref.frame === null ? {} : { ReferencedFrameNumber: ref.frame }),
  };
}

function content(children: readonly DataSet[]): DataSet {
  return children.length === 0 ? {} : { ContentSequence: children };
}

/** Study > Series > SOP of the given images, each instance once, in the order given. PS3.3 C.17.2.1 (hierarchical reference macro). */
export function evidenceSequence(refs: readonly ImageRef[]): readonly DataSet[] {
  return [...grouped(refs, (ref) => ref.study)].map(([study, ofStudy]) => ({
    StudyInstanceUID: study,
    ReferencedSeriesSequence: [...grouped(ofStudy, (ref) => ref.series)].map(([series, ofSeries]) => ({
      SeriesInstanceUID: series,
      ReferencedSOPSequence: [...grouped(ofSeries, (ref) => ref.instance)].flatMap(([instance, [first]]) =>
        first === undefined ? [] : [{ ReferencedSOPClassUID: first.sopClass, ReferencedSOPInstanceUID: instance }],
      ),
    })),
  }));
}

function grouped(refs: readonly ImageRef[], by: (ref: ImageRef) => string): ReadonlyMap<string, readonly ImageRef[]> {
  const groups = new Map<string, ImageRef[]>();
  for (const ref of refs) {
    const group = groups.get(by(ref)) ?? [];
    group.push(ref);
    groups.set(by(ref), group);
  }
  return groups;
}
