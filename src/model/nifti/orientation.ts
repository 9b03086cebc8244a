/**
 * From a volume's axes in the patient to the radiologist's view of its slices.
 *
 * The third axis of the file stays the slice axis, as converters write it, so the pictures are those of the acquired plane, like the slices
 * of the DICOM series. In the plane: axial and coronal slices have the patient's right on the left, sagittal ones the front on the left; what
 * is not axial has the head on top. Slices go from feet to head, front to back, left to right: the order of DICOM positions.
 */
import { WetreadError } from '#domain/errors.ts';
import type { NiftiHeader, Triple } from './header.ts';

/** One axis of the display: which axis of the file it is, and whether it runs the other way. */
interface Way {
  readonly axis: 0 | 1 | 2;
  readonly reversed: boolean;
}

export type Plane = 'axial' | 'coronal' | 'sagittal';

export interface View {
  /** null = the file does not say; slices are shown as they are stored. */
  readonly plane: Plane | null;
  readonly slices: Way;
  readonly rows: Way;
  readonly columns: Way;
}

const stored: View = {
  plane: null,
  slices: { axis: 2, reversed: false },
  rows: { axis: 1, reversed: false },
  columns: { axis: 0, reversed: false },
};

const orders = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
] as const;

/** Direction in RAS that each axis of the display takes, by plane: index of the patient's axis (0 right, 1 front, 2 head) and sign. */
const display: Readonly<Record<Plane, Readonly<Record<'slices' | 'rows' | 'columns', readonly [0 | 1 | 2, 1 | -1]>>>> = {
  axial: { slices: [2, 1], rows: [1, -1], columns: [0, -1] },
  coronal: { slices: [1, -1], rows: [2, -1], columns: [0, -1] },
  sagittal: { slices: [0, 1], rows: [2, -1], columns: [1, -1] },
};

function unit(vector: Triple): Triple {
  const length = Math.hypot(...vector);
  return [vector[0] / length, vector[1] / length, vector[2] / length];
}

function determinant([a, b, c]: readonly [Triple, Triple, Triple]): number {
  return a[0] * (b[1] * c[2] - b[2] * c[1]) - b[0] * (a[1] * c[2] - a[2] * c[1]) + c[0] * (a[1] * b[2] - a[2] * b[1]);
}

/** The patient's axis that each axis of the file is nearest to, all three different. */
function nearest(axes: readonly [Triple, Triple, Triple]): readonly [0 | 1 | 2, 0 | 1 | 2, 0 | 1 | 2] {
  const along = (order: (typeof orders)[number]) =>
    order.reduce<number>((sum, patient, axis) => sum + Math.abs(axes[axis]?.[patient] ?? 0), 0);
  return orders.reduce<(typeof orders)[number]>((best, order) => (along(order) > along(best) ? order : best), orders[0]);
}

/** @throws pixel-damaged when the axes lie in one plane or have no length */
export function viewOf({ axes }: Pick<NiftiHeader, 'axes'>): View {
  if (axes === null) return stored;
  const units: readonly [Triple, Triple, Triple] = [unit(axes[0]), unit(axes[1]), unit(axes[2])];
  if (!(Math.abs(determinant(units)) > 1e-3))
    throw new WetreadError('pixel-damaged', 'NIfTI header: the axes of its transform to the patient do not span a space');
  const patients = nearest(units);
  const plane = (['sagittal', 'coronal', 'axial'] as const)[patients[2]];
  const way = (part: 'slices' | 'rows' | 'columns'): Way => {
    const [patient, sign] = display[plane][part];
    const axis = ([0, 1, 2] as const).find((candidate) => patients[candidate] === patient) ?? 0;
    return { axis, reversed: Math.sign(units[axis]?.[patient] ?? 0) !== sign };
  };
  return { plane, slices: way('slices'), rows: way('rows'), columns: way('columns') };
}
