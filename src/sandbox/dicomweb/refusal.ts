/** An answer other than success of the sandbox's DICOMweb server: a status of PS3.18 and one sentence. Not a WetreadError: it plays a PACS. */
export class DicomwebRefusal extends Error {
  override readonly name = 'DicomwebRefusal';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}
