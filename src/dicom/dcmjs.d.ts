/** The part of dcmjs that wetread writes with; the package has no types of its own. */
declare module 'dcmjs' {
  interface Element {
    readonly vr: string;
    readonly Value: readonly unknown[];
  }
  class DicomDict {
    constructor(meta: Record<string, Element>);
    dict: Record<string, Element>;
    write(options?: { allowInvalidVRLength: boolean }): ArrayBuffer;
  }
  interface DicomMetaDictionary {
    denaturalizeDataset(dataset: Record<string, unknown>): Record<string, Element>;
  }
  const dcmjs: {
    readonly data: { readonly DicomDict: typeof DicomDict; readonly DicomMetaDictionary: DicomMetaDictionary };
    readonly log: { setLevel(level: 'silent' | 'error' | 'warn', persist?: boolean): void };
  };
  export default dcmjs;
}
