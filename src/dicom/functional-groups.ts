/**
 * One frame's view of a header: in enhanced objects the frame's own functional group, else the shared one, else the top level.
 *
 * Source: PS3.3 C.7.6.16.
 */
import { WetreadError } from '#domain/errors.ts';
import type { Header } from './header.ts';
import { framesOf } from './pixel-description.ts';
import type { Keyword } from './tags.ts';

const groupOf: Partial<Record<Keyword, Keyword>> = {
  PixelSpacing: 'PixelMeasuresSequence',
  WindowCenter: 'FrameVOILUTSequence',
  WindowWidth: 'FrameVOILUTSequence',
  WindowCenterWidthExplanation: 'FrameVOILUTSequence',
  VOILUTFunction: 'FrameVOILUTSequence',
  RescaleIntercept: 'PixelValueTransformationSequence',
  RescaleSlope: 'PixelValueTransformationSequence',
  RescaleType: 'PixelValueTransformationSequence',
  ImagePositionPatient: 'PlanePositionSequence',
  ImageOrientationPatient: 'PlaneOrientationSequence',
  FrameLaterality: 'FrameAnatomySequence',
};

/**
 * @param frame 0-based
 * @throws dicom-malformed when there are groups, but not one for each frame: which frame has which place is not known then
 */
export function frameHeader(header: Header, frame: number): Header {
  return viewOf(header, perFrameGroups(header)[frame], header.items('SharedFunctionalGroupsSequence')[0]);
}

/** frameHeader of every frame. @throws dicom-malformed, dicom-too-large */
export function frameHeaders(header: Header): readonly Header[] {
  const groups = perFrameGroups(header);
  const shared = header.items('SharedFunctionalGroupsSequence')[0];
  return Array.from({ length: framesOf(header) }, (_, frame) => viewOf(header, groups[frame], shared));
}

/** One for each frame, or none. */
function perFrameGroups(header: Header): readonly Header[] {
  const groups = header.items('PerFrameFunctionalGroupsSequence');
  const frames = framesOf(header);
  if (groups.length === 0 || groups.length === frames) return groups;
  throw new WetreadError('dicom-malformed', `PerFrameFunctionalGroupsSequence: found ${groups.length} items, expected ${frames}`);
}

function viewOf(header: Header, own: Header | undefined, shared: Header | undefined): Header {
  const groups = [own, shared];
  if (groups.every((group) => group === undefined)) return header;
  const holder = (keyword: Keyword): Header => {
    const sequence = groupOf[keyword];
    if (sequence === undefined) return header;
    const items = groups.flatMap((group) => group?.items(sequence).slice(0, 1) ?? []);
    return items.find((item) => item.has(keyword)) ?? header;
  };
  return {
    bigEndian: header.bigEndian,
    has: (keyword) => holder(keyword).has(keyword),
    text: (keyword) => holder(keyword).text(keyword),
    texts: (keyword) => holder(keyword).texts(keyword),
    number: (keyword) => holder(keyword).number(keyword),
    numbers: (keyword) => holder(keyword).numbers(keyword),
    label: (keyword) => holder(keyword).label(keyword),
    items: (keyword) => holder(keyword).items(keyword),
    bytes: (keyword) => holder(keyword).bytes(keyword),
  };
}
