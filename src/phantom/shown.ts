/** A synthetic film as the reader and the model see it: rendered, stored, windowed by the pixel rules of the dicom room. */
import { displayGrey } from '#dicom/display.ts';
import { renderFilm } from './film.ts';
import { presentationOf } from './presentation.ts';
import { currentLesions, type PhantomStudy, priorLesions } from './study.ts';

/** size x size grey values, rows first, and the lesions' map (Film.map) at 0..255. */
export function shownFilm(study: PhantomStudy, which: 'current' | 'prior', size: number): { pixels: Uint8Array; map: Uint8Array } {
  const lesions = which === 'current' ? currentLesions(study) : priorLesions(study);
  const film = renderFilm({ anatomy: study.anatomy, lesions, seed: `${study.seed} ${which}`, size });
  const { stored, display } = presentationOf(film, `${study.seed} ${which}`);
  return { pixels: displayGrey(stored, display), map: Uint8Array.from(film.map, (share) => Math.round(255 * share)) };
}
