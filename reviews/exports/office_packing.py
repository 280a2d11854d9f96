"""Office files that are the same bytes again: every moment inside is the one they are about, not the clock's."""

import io
import re
import zipfile
from datetime import datetime

_FIRST_DAY = (1980, 1, 1, 0, 0, 0)
_MOMENT = re.compile(rb'(<dcterms:(created|modified) xsi:type="dcterms:W3CDTF">)[^<]*(</dcterms:)')


def steady(file: bytes, at: datetime) -> bytes:
    """Return the Office file with `at` as its only moment; workbooks embedded in it, too."""
    moment = f"{at:%Y-%m-%dT%H:%M:%SZ}".encode()
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(file)) as read, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as written:
        for name in read.namelist():
            part = read.read(name)
            if name.endswith(".xlsx"):
                part = steady(part, at)
            elif name == "docProps/core.xml":
                part = _MOMENT.sub(rb"\g<1>" + moment + rb"\g<3>", part)
            entry = zipfile.ZipInfo(name, _FIRST_DAY)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
            written.writestr(entry, part)
    return out.getvalue()
