"""A disk that is small, for tests of full ones. Only root can mount it."""
import subprocess


class SmallDisk:
    def __init__(self, folder, size):
        """`size` as mount(8) takes it."""
        self.folder = folder
        folder.mkdir()
        self.mount("-t", "tmpfs", "-o", f"size={size}", "tollway-test", folder)

    @staticmethod
    def mount(*arguments):
        subprocess.run(["mount", *map(str, arguments)], check=True)

    def resize(self, size):
        self.mount("-o", f"remount,size={size}", self.folder)

    def leave(self, room):
        """So many bytes beside what is there."""
        used = sum(path.stat().st_blocks * 512 for path in self.folder.rglob("*") if path.is_file())
        self.resize(used + room)

    def close(self):
        subprocess.run(["umount", "-l", str(self.folder)], check=False)
