"""Opening a workbook in LibreOffice, as its reader would: what each sheet shows once it has computed everything."""

import csv
import io
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

NO_OFFICE = "LibreOffice (soffice) is not installed: the sums of workbooks are not checked in it."
# Comma, quotes, UTF-8, from line 1; cells as they are and not as they look; every sheet into a file of its own.
_AS_CSV = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,false,false,false,false,-1"


def office() -> str | None:
    """Return the program, or None."""
    return shutil.which(os.environ.get("SOFFICE", "soffice")) or shutil.which("libreoffice")


def computed(workbooks: dict[str, bytes], folder: Path) -> dict[str, dict[str, list[list[str]]]]:
    """Return for each workbook its sheets' cells after LibreOffice has computed them from the formulas alone."""
    program = office()
    assert program is not None
    for name, content in workbooks.items():
        (folder / f"{name}.xlsx").write_bytes(without_values(content))
    subprocess.run(
        [
            program, f"-env:UserInstallation={(folder / 'profile').as_uri()}", "--headless", "--convert-to", _AS_CSV,
            "--outdir", str(folder), *(str(folder / f"{name}.xlsx") for name in workbooks),
        ],
        check=True, capture_output=True, timeout=180,
    )  # fmt: skip
    found: dict[str, dict[str, list[list[str]]]] = {name: {} for name in workbooks}
    for file in sorted(folder.glob("*.csv")):
        name = next(name for name in workbooks if file.name.startswith(f"{name}-"))
        sheet = file.stem.removeprefix(f"{name}-")
        found[name][sheet] = list(csv.reader(io.StringIO(file.read_text("utf-8"))))
    return found


def without_values(workbook: bytes) -> bytes:
    """Return the workbook without the values that were stored beside its formulas."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.startswith("xl/worksheets/sheet"):
                content = re.sub(rb"(</f>)<v>[^<]*</v>", rb"\1", content)
            new.writestr(name, content)
    return out.getvalue()
