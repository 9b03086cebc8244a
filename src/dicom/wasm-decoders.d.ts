/** The wasm decoders' common shape; their packages have no types of their own. */
interface WasmDecoder {
  /** Memory of the module to copy a codestream of `length` bytes into. */
  getEncodedBuffer(length: number): Uint8Array;
  decode(): void;
  /** Memory of the module: gone after `delete`. */
  getDecodedBuffer(): Uint8Array;
  getFrameInfo(): { readonly width: number; readonly height: number; readonly bitsPerSample: number; readonly componentCount: number };
  delete(): void;
}

interface WasmOptions {
  print(line: string): void;
  printErr(line: string): void;
}

declare module '@cornerstonejs/codec-openjpeg/decodewasmjs' {
  const open: (options: WasmOptions) => Promise<{ readonly J2KDecoder: new () => WasmDecoder }>;
  export default open;
}

declare module '@cornerstonejs/codec-openjph/wasmjs' {
  const open: (options: WasmOptions) => Promise<{ readonly HTJ2KDecoder: new () => WasmDecoder }>;
  export default open;
}

declare module '@cornerstonejs/codec-charls/decodewasmjs' {
  const open: (options: WasmOptions) => Promise<{
    readonly JpegLSDecoder: new () => WasmDecoder & { getInterleaveMode(): number };
    getExceptionMessage(pointer: number): string;
  }>;
  export default open;
}

declare module '@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs' {
  const open: (options: WasmOptions) => Promise<{ readonly JPEGDecoder: new () => WasmDecoder }>;
  export default open;
}
