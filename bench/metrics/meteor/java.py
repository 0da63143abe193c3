"""METEOR 1.5 by its own program, the jar in pycocoevalcap; needs Java."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.errors import UnavailableError
from bench.metrics._official import JAVA, METEOR_JAR, has_java
from bench.metrics.meteor.resources import PARAPHRASES, find_package_file
from bench.system.files import open_temporary_folder

HEAP = "-Xmx2G"
"""What the official scripts give it; the paraphrase table alone takes more than half."""


def run_meteor_jar(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], table: Path | None = None
) -> tuple[float, list[float]]:
    """The jar's score of a test set and of each item, 0 to 1, for texts without line breaks.

    ``table``: another paraphrase table than the package's. Missing references are blank lines. Raises
    ``UnavailableError`` without Java or pycocoevalcap.
    """
    jar = find_package_file(METEOR_JAR)
    find_package_file(PARAPHRASES)
    if not has_java():
        raise UnavailableError(
            "METEOR's own program needs Java 8 or newer and there is no working `java`: install one, or "
            f"unset {JAVA} to use the same scores computed without it"
        )
    width = max(map(len, references))
    lines = [line for refs in references for line in [*refs, *[""] * (width - len(refs))]]
    with open_temporary_folder("meteor") as folder:
        outputs, truths = Path(folder, "hypotheses"), Path(folder, "references")
        write_lines(outputs, hypotheses)
        write_lines(truths, lines)
        options = ["-l", "en", "-norm", "-r", str(width), "-q", *(["-a", str(table)] if table else [])]
        command = ["java", HEAP, "-Dfile.encoding=UTF-8", "-jar", str(jar), str(outputs), str(truths)]
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)  # noqa: S603 - the jar
    segments = [value for line in done.stderr.splitlines() if (value := parse_number(line)) is not None]
    final = parse_number(done.stdout.strip())
    if done.returncode or final is None or len(segments) != len(hypotheses):
        output = " ".join((done.stderr.strip() or done.stdout.strip()).split())[-400:]
        raise RuntimeError(f"METEOR's program failed (exit code {done.returncode}): {output}")
    return final, segments


def write_lines(path: Path, lines: Sequence[str]) -> None:
    path.write_bytes("".join(f"{line}\n" for line in lines).encode("utf-8"))


def parse_number(line: str) -> float | None:
    try:
        return float(line)
    except ValueError:
        return None
