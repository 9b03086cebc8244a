/** Prints how long a synthetic film takes: `node test/bench/films.ts`. The aim is 50 ms for 512 pixels a side on one core. */
import { renderFilm } from '#phantom/film.ts';
import { currentLesions, makeStudy } from '#phantom/study.ts';

for (const size of [256, 512]) {
  const before = process.cpuUsage().user;
  const times = Array.from({ length: 40 }, (_, number) => {
    const study = makeStudy(`bench-${number}`);
    const start = performance.now();
    renderFilm({ anatomy: study.anatomy, lesions: currentLesions(study), seed: study.seed, size });
    return performance.now() - start;
  }).sort((a, b) => a - b);
  const at = (share: number): string => (times[Math.floor(share * times.length)] ?? Number.NaN).toFixed(1);
  const cpu = ((process.cpuUsage().user - before) / 1000 / times.length).toFixed(1);
  process.stdout.write(`film ${size} x ${size}: median ${at(0.5)} ms, nine in ten within ${at(0.9)} ms, processor time ${cpu} ms each\n`);
}
