/** The modality that an order asks for, read from its codes and words (CID 29; DX stands for any film). */
import type { Code } from '#domain/code.ts';
import { systems } from '#domain/code.ts';
import { reportCodeOf } from '#domain/codes.ts';

/** Earlier rows win: "PET/CT" is PT, "CT angiogram" is CT. */
const words: readonly (readonly [modality: string, pattern: RegExp])[] = [
  ['MG', /\bmammo(gram|graphy|graphic)?s?\b/i],
  ['PT', /\bPET\b|\bpositron emission\b/i],
  ['NM', /\bscintigra\w+|\bSPECT\b|\bnuclear medicine\b|\bbone scan\b|\bV\/Q\b/i],
  ['CT', /\bCT\b|\bCTA\b|\bCAT scan\b|\bcomputed tomograph\w*|\bcomputeri[sz]ed tomograph\w*/i],
  ['MR', /\bMRI?\b(?!\.)|\bMRA\b|\bMRCP\b|\bmagnetic resonance\b/i],
  ['US', /\bUS\b|\bultraso\w+|\bsonogra\w+|\bechocardiogra\w+|\bdoppler\b/],
  ['RF', /\bfluoroscop\w+|\bbarium\b/i],
  ['XA', /\bangiogra\w+/i],
  ['DX', /\bXR\b|\bCXR\b|\bx[- ]?rays?\b|\bradiograph\w*|\bplain film\b/i],
];

/** Modality named by words; null = none. */
export function modalityOfText(text: string): string | null {
  return words.find(([, pattern]) => pattern.test(text))?.[0] ?? null;
}

/** Modality of an order: a DICOM code, else the report-code table, else the words of its codes and text; null = not said. */
export function modalityOfOrder(codes: readonly Code[], texts: readonly string[]): string | null {
  const dicom = codes.find(({ system }) => system === systems.dcm)?.code;
  if (dicom !== undefined) return dicom === 'CR' ? 'DX' : dicom;
  for (const code of codes) {
    const row = reportCodeOf(code);
    if (row !== null) return row.modality;
  }
  for (const text of [...texts, ...codes.flatMap(({ display }) => display ?? [])]) {
    const found = modalityOfText(text);
    if (found !== null) return found;
  }
  return null;
}
