// A lock between windows, so that only one of them installs at a time.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

/** Runs `work` while holding a lock. Throws if another window holds it. `file` contains the holder's process id. */
export async function locked<Result>(file: string, work: () => Promise<Result>): Promise<Result> {
  if (existsSync(file)) {
    const pid = Number(readFileSync(file, 'utf8'));
    if (pid > 0 && pid !== process.pid && runs(pid)) throw new Error(`another window is already installing (process ${pid}; if not, delete ${file}).`);
    rmSync(file, { force: true });  // that process has ended, or the disk was full when it wrote the file
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
    return (error as NodeJS.ErrnoException).code === 'EPERM';  // another user's process
  }
}
