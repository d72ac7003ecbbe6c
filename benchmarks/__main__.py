"""All benchmarks, or those named: `python -m benchmarks [NAME ...]`. Figures compare within one run only."""

import platform
import sys
from importlib import import_module

NAMES = ("hot_path", "encoder", "drain", "replay")


def main() -> None:
    chosen = sys.argv[1:] or NAMES
    unknown = set(chosen) - set(NAMES)
    if unknown:
        sys.exit(f"no benchmark named {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    print(f"{platform.python_implementation()} {platform.python_version()}, {platform.platform()}")
    for name in chosen:
        print(f"\n== {name}")
        import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
