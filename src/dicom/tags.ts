/**
 * The attributes that wetread reads, by keyword: tag as dicom-parser writes it, and VR, since implicit and UN elements carry none.
 *
 * XS stands for US or SS by PixelRepresentation. Source: PS3.6.
 */
export type Vr =
  | 'AE'
  | 'AS'
  | 'CS'
  | 'DA'
  | 'DS'
  | 'FD'
  | 'IS'
  | 'LO'
  | 'OB'
  | 'PN'
  | 'SH'
  | 'SQ'
  | 'ST'
  | 'TM'
  | 'UI'
  | 'UL'
  | 'US'
  | 'UT'
  | 'XS';

export const tags = {
  MediaStorageSOPClassUID: ['x00020002', 'UI'],
  MediaStorageSOPInstanceUID: ['x00020003', 'UI'],
  TransferSyntaxUID: ['x00020010', 'UI'],
  SpecificCharacterSet: ['x00080005', 'CS'],
  ImageType: ['x00080008', 'CS'],
  SOPClassUID: ['x00080016', 'UI'],
  SOPInstanceUID: ['x00080018', 'UI'],
  StudyDate: ['x00080020', 'DA'],
  SeriesDate: ['x00080021', 'DA'],
  AcquisitionDate: ['x00080022', 'DA'],
  StudyTime: ['x00080030', 'TM'],
  TimezoneOffsetFromUTC: ['x00080201', 'SH'],
  AccessionNumber: ['x00080050', 'SH'],
  Modality: ['x00080060', 'CS'],
  ModalitiesInStudy: ['x00080061', 'CS'],
  PresentationIntentType: ['x00080068', 'CS'],
  Manufacturer: ['x00080070', 'LO'],
  ReferringPhysicianName: ['x00080090', 'PN'],
  CodeValue: ['x00080100', 'SH'],
  CodingSchemeDesignator: ['x00080102', 'SH'],
  CodeMeaning: ['x00080104', 'LO'],
  StudyDescription: ['x00081030', 'LO'],
  SeriesDescription: ['x0008103e', 'LO'],
  ReferencedSOPClassUID: ['x00081150', 'UI'],
  ReferencedSOPInstanceUID: ['x00081155', 'UI'],
  PatientName: ['x00100010', 'PN'],
  PatientID: ['x00100020', 'LO'],
  IssuerOfPatientID: ['x00100021', 'LO'],
  IssuerOfPatientIDQualifiersSequence: ['x00100024', 'SQ'],
  UniversalEntityID: ['x00400032', 'UT'],
  UniversalEntityIDType: ['x00400033', 'CS'],
  PatientBirthDate: ['x00100030', 'DA'],
  PatientSex: ['x00100040', 'CS'],
  PatientAge: ['x00101010', 'AS'],
  BodyPartExamined: ['x00180015', 'CS'],
  EchoNumbers: ['x00180086', 'IS'],
  EchoTime: ['x00180081', 'DS'],
  ImagerPixelSpacing: ['x00181164', 'DS'],
  ProtocolName: ['x00181030', 'LO'],
  ConvolutionKernel: ['x00181210', 'SH'],
  ViewPosition: ['x00185101', 'CS'],
  StudyInstanceUID: ['x0020000d', 'UI'],
  SeriesInstanceUID: ['x0020000e', 'UI'],
  StudyID: ['x00200010', 'SH'],
  SeriesNumber: ['x00200011', 'IS'],
  AcquisitionNumber: ['x00200012', 'IS'],
  InstanceNumber: ['x00200013', 'IS'],
  ImagePositionPatient: ['x00200032', 'DS'],
  ImageOrientationPatient: ['x00200037', 'DS'],
  FrameOfReferenceUID: ['x00200052', 'UI'],
  Laterality: ['x00200060', 'CS'],
  ImageLaterality: ['x00200062', 'CS'],
  FrameLaterality: ['x00209072', 'CS'],
  ContentDate: ['x00080023', 'DA'],
  ContentTime: ['x00080033', 'TM'],
  SamplesPerPixel: ['x00280002', 'US'],
  PhotometricInterpretation: ['x00280004', 'CS'],
  PlanarConfiguration: ['x00280006', 'US'],
  NumberOfFrames: ['x00280008', 'IS'],
  Rows: ['x00280010', 'US'],
  Columns: ['x00280011', 'US'],
  PixelSpacing: ['x00280030', 'DS'],
  BitsAllocated: ['x00280100', 'US'],
  BitsStored: ['x00280101', 'US'],
  HighBit: ['x00280102', 'US'],
  PixelRepresentation: ['x00280103', 'US'],
  PixelPaddingValue: ['x00280120', 'XS'],
  PixelPaddingRangeLimit: ['x00280121', 'XS'],
  BurnedInAnnotation: ['x00280301', 'CS'],
  WindowCenter: ['x00281050', 'DS'],
  WindowWidth: ['x00281051', 'DS'],
  RescaleIntercept: ['x00281052', 'DS'],
  RescaleSlope: ['x00281053', 'DS'],
  RescaleType: ['x00281054', 'LO'],
  WindowCenterWidthExplanation: ['x00281055', 'LO'],
  VOILUTFunction: ['x00281056', 'CS'],
  RedPaletteColorLookupTableDescriptor: ['x00281101', 'XS'],
  GreenPaletteColorLookupTableDescriptor: ['x00281102', 'XS'],
  BluePaletteColorLookupTableDescriptor: ['x00281103', 'XS'],
  RedPaletteColorLookupTableData: ['x00281201', 'OB'],
  GreenPaletteColorLookupTableData: ['x00281202', 'OB'],
  BluePaletteColorLookupTableData: ['x00281203', 'OB'],
  SegmentedRedPaletteColorLookupTableData: ['x00281221', 'OB'],
  SegmentedGreenPaletteColorLookupTableData: ['x00281222', 'OB'],
  SegmentedBluePaletteColorLookupTableData: ['x00281223', 'OB'],
  LossyImageCompression: ['x00282110', 'CS'],
  LossyImageCompressionRatio: ['x00282112', 'DS'],
  ModalityLUTSequence: ['x00283000', 'SQ'],
  LUTDescriptor: ['x00283002', 'XS'],
  LUTExplanation: ['x00283003', 'LO'],
  LUTData: ['x00283006', 'OB'],
  VOILUTSequence: ['x00283010', 'SQ'],
  PresentationLUTShape: ['x20500020', 'CS'],
  SharedFunctionalGroupsSequence: ['x52009229', 'SQ'],
  PerFrameFunctionalGroupsSequence: ['x52009230', 'SQ'],
  PixelMeasuresSequence: ['x00289110', 'SQ'],
  FrameVOILUTSequence: ['x00289132', 'SQ'],
  PixelValueTransformationSequence: ['x00289145', 'SQ'],
  PlanePositionSequence: ['x00209113', 'SQ'],
  PlaneOrientationSequence: ['x00209116', 'SQ'],
  FrameAnatomySequence: ['x00209071', 'SQ'],
  ExtendedOffsetTable: ['x7fe00001', 'OB'],
  ExtendedOffsetTableLengths: ['x7fe00002', 'OB'],
  FloatPixelData: ['x7fe00008', 'OB'],
  DoubleFloatPixelData: ['x7fe00009', 'OB'],
  PixelData: ['x7fe00010', 'OB'],
} as const satisfies Record<string, readonly [string, Vr]>;

export type Keyword = keyof typeof tags;
