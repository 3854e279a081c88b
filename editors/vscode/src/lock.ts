import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

/** Does work that no two windows may do at once. Throws if another one is at it; in `file` it says which process it is. */
export async function alone<Result>(file: string, work: () => Promise<Result>): Promise<Result> {
  if (existsSync(file)) {
    const pid = Number(readFileSync(file, 'utf8'));
    if (pid !== process.pid && runs(pid)) throw new Error(`another window is already installing (process ${pid}; if not, delete ${file}).`);
    rmSync(file, { force: true });  // it has died at it
  }
  writeFileSync(file, String(process.pid), { flag: 'wx' });
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';  // it is another user's
  }
}
