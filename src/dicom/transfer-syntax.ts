/** Which decoder reads which transfer syntax, and the names of those that are refused. Source: PS3.6 table A-1, PS3.5 annex A. */
import { WetreadError } from '#domain/errors.ts';

export const codecs = ['rle', 'jpeg', 'jpeg-lossless', 'jpeg-ls', 'jpeg2000', 'htj2k'] as const;
export type Codec = (typeof codecs)[number];

const codecOf: Readonly<Record<string, Codec>> = {
  '1.2.840.10008.1.2.5': 'rle',
  '1.2.840.10008.1.2.4.50': 'jpeg',
  '1.2.840.10008.1.2.4.51': 'jpeg',
  '1.2.840.10008.1.2.4.57': 'jpeg-lossless',
  '1.2.840.10008.1.2.4.70': 'jpeg-lossless',
  '1.2.840.10008.1.2.4.80': 'jpeg-ls',
  '1.2.840.10008.1.2.4.81': 'jpeg-ls',
  '1.2.840.10008.1.2.4.90': 'jpeg2000',
  '1.2.840.10008.1.2.4.91': 'jpeg2000',
  '1.2.840.10008.1.2.4.201': 'htj2k',
  '1.2.840.10008.1.2.4.202': 'htj2k',
  '1.2.840.10008.1.2.4.203': 'htj2k',
};

const native = ['1.2.840.10008.1.2', '1.2.840.10008.1.2.1', '1.2.840.10008.1.2.1.99', '1.2.840.10008.1.2.2'];

const refused: Readonly<Record<string, string>> = {
  '1.2.840.10008.1.2.4.53': 'JPEG spectral selection (retired)',
  '1.2.840.10008.1.2.4.55': 'JPEG progressive (retired)',
  '1.2.840.10008.1.2.4.92': 'JPEG 2000 multi-component, lossless',
  '1.2.840.10008.1.2.4.93': 'JPEG 2000 multi-component',
  '1.2.840.10008.1.2.4.110': 'JPEG XL lossless',
  '1.2.840.10008.1.2.4.111': 'JPEG XL of a JPEG',
  '1.2.840.10008.1.2.4.112': 'JPEG XL',
  '1.2.840.10008.1.2.8.1': 'Deflated Image Frame Compression',
};

export function isNative(transferSyntax: string): boolean {
  return native.includes(transferSyntax);
}

/** @throws transfer-syntax-unsupported, with the name where it has one */
export function codecFor(transferSyntax: string): Codec {
  const codec = codecOf[transferSyntax];
  if (codec !== undefined) return codec;
  const video = /^1\.2\.840\.10008\.1\.2\.4\.10\d/.test(transferSyntax) ? 'video' : null;
  const name = refused[transferSyntax] ?? video;
  throw new WetreadError(
    'transfer-syntax-unsupported',
    `transfer syntax: found ${transferSyntax}${name === null ? '' : ` (${name})`}, expected an uncompressed, RLE, JPEG, JPEG-LS or JPEG 2000 one`,
    { hint: 'ask the archive to transcode it to Explicit VR Little Endian' },
  );
}
