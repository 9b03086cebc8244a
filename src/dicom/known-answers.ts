/**
 * 16 x 16 images for each decoder with the values it must give, so that a broken decoder is switched off instead of believed.
 *
 * The signed image is a ramp in mixed order with both ends of 12 bits in it. Made with dcmtk 3.6.7 (RLE, JPEG, JPEG-LS) and the
 * encoders of the wasm packages (JPEG 2000, HTJ2K, near-lossless and colour JPEG-LS) and libjpeg (colour JPEG).
 */
import { WetreadError } from '#domain/errors.ts';
import { decodeCodestream } from './codecs.ts';
import type { PixelDescription } from './pixel-description.ts';
import { type Codec, codecs } from './transfer-syntax.ts';

interface Image {
  readonly description: PixelDescription;
  readonly values: readonly number[];
  /** Largest difference allowed: lossy JPEG rounds. */
  readonly tolerance: number;
}

function grey(bitsStored: number, signedValues: boolean, value: (i: number) => number, tolerance: number): Image {
  const description: PixelDescription = {
    rows: 16,
    columns: 16,
    samples: 1,
    bitsAllocated: bitsStored > 8 ? 16 : 8,
    bitsStored,
    highBit: bitsStored - 1,
    signed: signedValues,
    photometric: 'MONOCHROME2',
    planar: false,
    frames: 1,
  };
  return { description, values: Array.from({ length: 256 }, (_, i) => value(i)), tolerance };
}

const signed = grey(12, true, (i) => (i === 255 ? 2047 : ((i * 37) % 256) * 16 - 2048), 0);
const eight = grey(8, false, (i) => i, 1);
const withLoss = (tolerance: number): Image => grey(12, false, (i) => i * 16 + (i >> 4), tolerance);
const twelve = withLoss(1);

/** Red grows downwards, green to the right, blue falls along both. */
function colour(photometric: PixelDescription['photometric'], tolerance: number): Image {
  const description: PixelDescription = { ...eight.description, samples: 3, photometric };
  const values = eight.values.flatMap((i) => [(i >> 4) * 16, (i % 16) * 16, 255 - (i >> 4) * 8 - (i % 16) * 8]);
  return { description, values, tolerance };
}

interface KnownAnswer {
  readonly name: string;
  readonly codec: Codec;
  readonly image: Image;
  /** Base64. */
  readonly codestream: string;
}

const knownAnswers: readonly KnownAnswer[] = [
  {
    name: 'RLE',
    codec: 'rle',
    image: signed,
    codestream:
      'AgAAAEAAAABQAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA/4+vz+AQMF+Pr8/wEDBvj6D/3/AQMG+P' +
      'r9/wEEBvj7/f8PAgQG+Pv9/wIEBvn7/QACBA8H+fv9AAIEB/n7/gACBQf5D/z+AAIFB/n8/gADBQf6/P4PAQMFB/r8/gEDBfj6/P8BAw8G+Pr8/wEDBvj6' +
      '/f8BBAb4D/v9/wEEBvj7/f8CBAb5+/0PAAIEBvn7/QACBAf5+/4AAg8FB/n7/gACBQf5/P4AAwUHD/r8/gADBQf6/P4BAwX4+vwP/wEDBfj6/P8BAwb4+v' +
      '3/AQ8EBvj6/f8BBAb4+/3/AgQGD/n7/f8CBAb5+/0AAgQH+fsP/gACBAf5+/4AAgUH+fz+AA8DBQf5/P4AAwUH+vz+AQMHDwBQoPBAkOAwgNAgcMAQYLAP' +
      'AFCg8ECQ4DCA0CBwwBBgsA8AUKDwQJDgMIDQIHDAEGCwDwBQoPBAkOAwgNAgcMAQYLAPAFCg8ECQ4DCA0CBwwBBgsA8AUKDwQJDgMIDQIHDAEGCwDwBQoP' +
      'BAkOAwgNAgcMAQYLAPAFCg8ECQ4DCA0CBwwBBgsA8AUKDwQJDgMIDQIHDAEGCwDwBQoPBAkOAwgNAgcMAQYLAPAFCg8ECQ4DCA0CBwwBBgsA8AUKDwQJDg' +
      'MIDQIHDAEGCwDwBQoPBAkOAwgNAgcMAQYLAPAFCg8ECQ4DCA0CBwwBBgsA8AUKDwQJDgMIDQIHDAEGCwDwBQoPBAkOAwgNAgcMAQYP8=',
  },
  {
    name: 'JPEG, 8 bits',
    codec: 'jpeg',
    image: eight,
    codestream:
      '/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ' +
      'H/wAALCAAQABABAREA/8QAFQABAQAAAAAAAAAAAAAAAAAABwr/xAAbEAAABwEAAAAAAAAAAAAAAAAABQklMkRR4v/aAAgBAQAAPwCdstTbiwZW5CAWptxY' +
      'Mrci8AtTbiwZW5CAWptxYMrcj//Z',
  },
  {
    name: 'JPEG, 12 bits',
    codec: 'jpeg',
    image: twelve,
    codestream:
      '/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ' +
      'H/wQALDAAQABABAREA/8QAFQABAQAAAAAAAAAAAAAAAAAACw7/xAAcEAAABgMAAAAAAAAAAAAAAAAACQ0pNUhUZnL/2gAIAQEAAD8AndsttNtIBhXGrbxr' +
      'QQALbTbSAYVxq28a0LxALbTbSAYVxq28a0EAC2020gGFcatvGtD//9k=',
  },
  {
    name: 'JPEG lossless, selection value 1',
    codec: 'jpeg-lossless',
    image: signed,
    codestream:
      '/9j/4AAQSkZJRgABAQAAAQABAAD/wwALEAAQABABAREA/8QAFwABAQEBAAAAAAAAAAAAAAAACgwLD//aAAgBAQABAADvAAlBKCUEoJQShEnpQSglBKCUEo' +
      'RJ6UNQBKCUEoJQiT0oJQSglBKCUIk9KCUEoagCUEoRJ6UEoJQSglBKESelBKCUEoJQ1AIk9KCUEoJQSglCJPSglBKCUEoJQiT5P9KCUEoJQShEnpQSglBK' +
      'CUEoRJ6UEoagCUEoJQiT0oJQSglBKESelBKCUEoJQ1AIk9KCUEoJQSglCJPSglBKCUEoJQiT5P8ASglBKCUEoRJ6UEoJQSglBKESelBKGoAlBKCUIk9KCU' +
      'EoJQSglCJPSglBKCUNQBKESelBKCUEoJQShEnpQSglBKCUEoSf6UEoJQSglBKESelBKCUEoJQiT0oJQ1AEoJQShEnpQSglBKCUEoRJ6UEoJQShqAJQiT0o' +
      'JQSglBKCUIk9KCUEoJQSglCT/SglBKCUEoJQiT0oJQSglBKCUIk9KGoAlBKCUEoRJ6UEoJQSglBKESelBKCUNQBKCUIk9KCUEoJQSglCJPSglBKCUNJ///' +
      '/Z',
  },
  {
    name: 'JPEG lossless, selection value 7',
    codec: 'jpeg-lossless',
    image: signed,
    codestream:
      '/9j/4AAQSkZJRgABAQAAAQABAAD/wwALEAAQABABAREA/8QAFwABAQEBAAAAAAAAAAAAAAAACg8MC//aAAgBAQAHAAC8ACUEoJQSglBKGJPSglBKCUEoJQ' +
      'xJ6UOoA6h1EDp3UY6e91DqHUOogdO6jHT3uodQ6jqAQOndRjp73UOodQ6iB07qMdPe6h1DqIHTwOn6gGOnvdQ6h1EDp4HTuox097qHUOogdO6h1GOnyf7q' +
      'HUQOndQ6jHT3uodQ6iB07qHUY6e91DqOoBA6d1DqMdPe6h1DqIHTuox097qL3UOodRA6fqAY6e91F7qHUOogdO6jHT3uodQ6h1EDp3UY6fJ/uodQ6iB07q' +
      'MdPe6h1DqHUQOndRjp73UOo6gEDp4HTuox097qHUOogdPA6d1GOnvdQ6h1EDp+oA6jHT3uodQ6iB07qHUY6e91DqHUQOndQ6jJ/wB7qHUOogdO6h1GOnvd' +
      'Q6h1EDp3UY6e91F7qOoA6iB07qMdPe6i91DqHUQOndRjp73UOodQ6jqAOox097qHUOodRA6d1GOnvdQ6h1DqIHTuoyf97qHUOodRA6d1GOnvdQ6h1EDp4H' +
      'Tuox097qOoA6iB08Dp3UY6e91DqHUQOndQ6jHT3uodQ6jqAOodRjp73UOodRA6d1DqMdPe6h1DqIHT9ff//9k=',
  },
  {
    name: 'JPEG-LS',
    codec: 'jpeg-ls',
    image: signed,
    codestream:
      '/9j/9wALEAAQABABAREA//gADQH//wASAEMBFABA/9oACAEBAAAAAA/8k+k6k2kykukqB2xJVJNJFI9I1IsDuyRZgDJ5JyABgADsuTmTWTGS0AJ/hbXktk' +
      'olAnygBP4Lb8kskMjsjIAn6FuuRmRWREAIAJ+BbzkRkNkJAEAT7C33ITILICAJ9MfgOwnEeP2PkAT5Y9C4fHrHjHaAT4Y6C43HTKBOlAJ7scBcjjhjdjZA' +
      'J7BcrjZjVjRjNACeoXN4zYyYxYwQCegXQ4wYvYuYtQCeYWwnI+LWLGK0AnkF1eK2KmKWKEAniF2OKGUCa6AIBPALs8TsTMSoBATvC7fErEjEaAE7mIgu9x' +
      'ExCxAgJ2sPheHh9h5h1ATsZPHM+HWHGG0BOthoLzcNMMsMICdQXo4YZOJjsLICdIXq4WYVYUYTQE6AvbwmwkwiyaUYp0Be/hFhBg9g5ATnC+XBzBrBjCKA' +
      'oHOM8FMEsEMgoCc4X54HYGYFQCAnMF++TSWrAiAQE5Qv5wIwGwEgJyMAhf9wCwAyYUcpyL/hgHf9f5f1ATjX8DAm/i/a/SA6nP//2Q==',
  },
  {
    name: 'JPEG 2000',
    codec: 'jpeg2000',
    image: signed,
    codestream:
      '/0//UQApAAAAAAAQAAAAEAAAAAAAAAAAAAAAEAAAABAAAAAAAAAAAAABiwEB/1IADAACAAEAAgQEAAH/XAAKQGBoaHBoaHD/ZAAlAAFDcmVhdGVkIGJ5IE' +
      '9wZW5KUEVHIHZlcnNpb24gMi41LjT/kAAKAAAAAAEQAAH/k8fsLhId3PNyCOdIfyEXxzIEIvUEaE1X2bzLw/YXn+BiP8DACEBXSz5uT60kNSjNXxmOo0pP' +
      'fDCEGH8VZcZUGIIF8/SBsaXvtiVqE84fSreFQDcWmkotRY53nTqFRPKiNJnefNT3Bji8QJPP8Gk/waz/YASgOVuYrBNGgCZeJajaga1guAi5mQ1M59+dgp' +
      '9FjLya7maNhhrvYtAWnKlNz2wob3ywjA4Z3xWKEIy8xZfdVdhxATCrRv1CpLYbMYdYA1/+/sLGVPd2lpY0C4xxUUSlutEnBoFAjLAoKYF/NO1JpuIMPYfW' +
      'LqaP1qS62F2EcHe6H5oqEr0IIvg0vr8qk1OXP//Z',
  },
  {
    name: 'HTJ2K',
    codec: 'htj2k',
    image: signed,
    codestream:
      '/0//UQApQAAAAAAQAAAAEAAAAAAAAAAAAAAAEAAAABAAAAAAAAAAAAABCwEB/1AACAACAAAABv9SAAwAAgABAAIEBEAB/1wACiBocHBwaGho/2QAFwABT3' +
      'BlbkpQSCBWZXIgMC4zMS4wLv+QAAoAAAAAAdAAAf+TwALbFho4acHSkZdqQk9KQCWj587Z4voYVIxgAzcAwAFuwAFvwAFvgC5+xx9rnfnPcEs9vILtXjH7' +
      '5YMq/gB8LjGBVZgAT+EOFu94l3KfLQ/kHP5z50/pWjf8pX0ApdSQoAM4AF7hnf75KZ7oJb/rZ572T37gG7/2P76NBDORKUDblwDAAvZoAF7fAAvXwP73j/' +
      '98x3/+9/9/+d9//Pc/T3rSf/9xv/95z/9+5z//c9//cj//eo8nPfm//3i//3zv/3zXP/7zj/98z5Nf+89//Os//3mPf/jHP/773394wo0AIXD3oeOr4DD3' +
      'FUkIBkxCAI6UAf73P/6bf/znf/75r3/7z3/4t/98D/9wH/9j/3+H/3qP/3Df/vMf/vW/+cf/fF//dn/+4T/8+z/843/7x3/81z//YT/+89/+5d//bb//Z3' +
      '/5h3/9r3/+t3/51zX8CyFyx3heSDiz6qSlA2ghQBGzAf7/P/9n/37v/3/73/9+33//f9//e7//f9//fu//f/8//3//f/uf/33/f/uf/3//f/3/f/if/3d/' +
      '/vf/f/f/f/9f/32f/2f/cSQAaCKeDfTyv3jemr4fGQA/jGQBGbYB/9k=',
  },
  {
    name: 'JPEG, colour',
    codec: 'jpeg',
    image: colour('YBR_FULL', 3),
    codestream:
      '/9j/2wBDAAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQH/2wBDAQEBAQEBAQEBAQEBAQEBAQ' +
      'EBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQH/wAARCAAQABADAREAAhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAACQr/' +
      'xAAoEAAAAQoFBQAAAAAAAAAAAAABAAcIERVCQ2FxkSMkNVHRAjFTYqH/xAAXAQEBAQEAAAAAAAAAAAAAAAAKCQcI/8QAKxEAAAIGCAcBAAAAAAAAAAAAATEABw' +
      'gRQ1EVJCU0QVNhcQIDISNCgZFS/9oADAMBAAIRAxEAPwAQUZTcLZ+XGF36d1S2ELEjxqlfTqSrvTvRCPUphhsWRLuZhvlnDEgg7GYJQ+jIbjT8AITtORtISNW1' +
      'Uvp1JV3Nib6/B9CkfF3MxXyz8zw3wDhQ2EZDcLZ+X8TtJe3wuqGql9PpKu5sTfX4PoUdYu5mG+Wd+y5I6zByUPoyG50/ACE7TkbEapqlfTqSrvTvRCPUphhsUf' +
      'V3sw3uz8w+UHDOQJ//2Q==',
  },
  {
    name: 'JPEG-LS, near-lossless',
    codec: 'jpeg-ls',
    image: withLoss(2),
    codestream:
      '/9j/9wALDAAQABABAREA/9oACAEBAAIAAKtb1u9b29u+gWxbOzsyZNtYDGm2miVK5mlKlKqWM1KqVUrGbnz5xk//fM3/fRk//yMn/3Rk/3+Yv/8jJ/98xf9/MX' +
      '//TF//cP/Z',
  },
  {
    name: 'JPEG-LS, colour',
    codec: 'jpeg-ls',
    image: colour('RGB', 0),
    codestream:
      '/9j/9wARCAAQABADAREAAhEAAxEA/9oADAMBAAIAAwAAAgBLgAAQSQHdIX6SfqT9SKFIoV9KvpV1KuqV1SuqVtStqAACgSUCVOiZFUonpycnLlq666gQda6666' +
      '7nOc5znduNV3d3d3d3d3bC27u7u7u//3oV/3//f/9/gj//f/9//3Lv/3//f/98u/9//3//f2z/f/9//3/bP/9//3//ds//f/9//32z/3//f/9/qv9//3//f+q/' +
      '/3//f/96r/9//3//foD/2Q==',
  },
  {
    name: 'JPEG 2000, irreversible',
    codec: 'jpeg2000',
    image: withLoss(1),
    codestream:
      '/0//UQApAAAAAAAQAAAAEAAAAAAAAAAAAAAAEAAAABAAAAAAAAAAAAABCwEB/1IADAACAAEAAgQEAAD/XAARQn9ScAVwBXBHd9N303di/2QAJQABQ3JlYXRlZC' +
      'BieSBPcGVuSlBFRyB2ZXJzaW9uIDIuNS40/5AACgAAAAAAfQAB/5PH/gA4EYPLB5aMcAJN8qytIZmEnfymxl6GW8QqUdb3P8AfUFQfsJAiGCM6nCLmwhNzA34m' +
      'jcaPogaGM3db1uDF+jfbwAfIMgPwGAA2oX50lxghRJDZFxg9pi1lYRmDcsbKY9EtMdKuQTzJrjMtwr//2Q==',
  },
  {
    name: 'JPEG 2000, colour',
    codec: 'jpeg2000',
    image: colour('YBR_RCT', 0),
    codestream:
      '/0//UQAvAAAAAAAQAAAAEAAAAAAAAAAAAAAAEAAAABAAAAAAAAAAAAADBwEBBwEBBwEB/1IADAACAAEBAgQEAAH/XAAKQEBISFBISFD/ZAAlAAFDcmVhdGVkIG' +
      'J5IE9wZW5KUEVHIHZlcnNpb24gMi41LjT/kAAKAAAAAACdAAH/k8+0PBILyR42EPPn0ObcJhTgid+AiBQA4E+hf/PNnC3gAu7zu8FR34BwCPGcjLQHNu5nGNPr' +
      'M2/A+QJAfCGAIhh3vwN/v8PqBYPnCCFsq/HXAM/VUcPqBYfUCiFuBl1/A3/dUj/AfCJAOhg2oYQ/PaYzwfOEgfIEADX1gnc+YqKvwfOEg+cKNfWXzz2mNGB//9' +
      'k=',
  },
  {
    name: 'HTJ2K, irreversible',
    codec: 'htj2k',
    image: withLoss(1),
    codestream:
      '/0//UQApQAAAAAAQAAAAEAAAAAAAAAAAAAAAEAAAABAAAAAAAAAAAAABCwEB/1AACAACAAAAJ/9SAAwAAgABAAIEBEAA/1wAESKEuIUhhSGFjXz2fPZ8mf9kAB' +
      'cAAU9wZW5KUEggVmVyIDAuMzEuMC7/kAAKAAAAAADCAAH/k8AAXSCJjSJmXqIG2UvIG779W3wxADulPfBjlghuJ94YjDBjoQAAtwDAAFqwABbwOAZgZgYEBGMA' +
      'ZmZAQP4GcHCEWZcAtmXYlmFbhm0ZV8MjV8MjV8MjV8MjAxgAxxCA0LkAwAC3YABdcBCaRhAANo0gAGwaQQDYNILwXSV/JX8lfhCvC3wAOnV0dHR0dHTKMWI5jF' +
      'iOEeUYsRwjyjFiOUaUY8QfQpQKdMpQKboQga0EIGoxAf/Z',
  },
];

export interface DecoderCheck {
  readonly name: string;
  readonly codec: Codec;
  /** Null = it gave the known answer; else what was wrong. */
  readonly fault: string | null;
}

export type Decode = typeof decodeCodestream;

/** Runs every known answer, in this thread unless `decode` does it elsewhere; the tests give a decoder that is wrong. */
export async function checkDecoders(decode: Decode = decodeCodestream): Promise<readonly DecoderCheck[]> {
  const checks: DecoderCheck[] = [];
  for (const codec of codecs) checks.push(...(await checkDecoder(codec, decode)));
  return checks;
}

async function checkDecoder(codec: Codec, decode: Decode): Promise<readonly DecoderCheck[]> {
  const checks: DecoderCheck[] = [];
  for (const answer of knownAnswers.filter((one) => one.codec === codec)) {
    checks.push({ name: answer.name, codec, fault: await faultOf(answer, decode) });
  }
  return checks;
}

async function faultOf({ codec, image, codestream }: KnownAnswer, decode: Decode): Promise<string | null> {
  try {
    const { values } = await decode(codec, new Uint8Array(Buffer.from(codestream, 'base64')), image.description);
    const wrong = image.values.filter((value, i) => Math.abs(value - (values[i] ?? Number.NaN)) > image.tolerance).length;
    return wrong === 0 && values.length === image.values.length ? null : `${wrong} of ${image.values.length} values differ`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * A check of each decoder before its first use: a worker believes none before.
 * @returns throws transfer-syntax-unsupported when the decoder does not give its known answers
 */
export function decoderGate(decode: Decode = decodeCodestream): (codec: Codec) => Promise<void> {
  const checked = new Map<Codec, Promise<readonly DecoderCheck[]>>();
  return async (codec) => {
    const checks = checked.get(codec) ?? checkDecoder(codec, decode);
    checked.set(codec, checks);
    const failed = (await checks).find(({ fault }) => fault !== null);
    if (failed !== undefined) {
      throw new WetreadError(
        'transfer-syntax-unsupported',
        `${failed.name}: switched off, the decoder fails its known-answer test (${failed.fault})`,
      );
    }
  };
}
