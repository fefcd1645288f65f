"""Files of types that some image library would open, and that nobody may send here, whatever they are called."""

from struct import pack

from tests.hostile.verdicts import File

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="9" height="9">'
LAUGHS = b"".join(b'<!ENTITY lol%d "%s">' % (i, b"&lol%d;" % (i - 1) * 10) for i in range(1, 10))

CONTENT: dict[str, bytes] = {
    "matrix of 100000 × 100000": b"100000 100000\n1 2 3\n",
    "matrix": b"4 4\n" + b"1 2 3 4\n" * 4,
    "table": b"1,2,3\n4,5,6\n",
    "text": b"Dear diary,\nthis is not a picture.\n",
    "text in Greek": "Αγαπητό ημερολόγιο".encode(),
    "one byte": b"\xff",
    "NUL bytes": bytes(1000),
    "SVG": SVG + b"</svg>",
    "SVG with a billion laughs": (
        b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY lol0 "lol">' + LAUGHS + b"]>" + SVG + b"&lol9;</svg>"
    ),
    "SVG that reads a file": SVG + b'<image xlink:href="file:///etc/passwd"/></svg>',
    "SVG that asks the network": SVG + b'<image xlink:href="http://127.0.0.1/latest/meta-data"/></svg>',
    "SVG of filters": SVG
    + b'<filter id="f">'
    + b'<feTurbulence numOctaves="200"/>' * 30
    + b"</filter></svg>",
    "SVG, compressed": b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + bytes(50),
    "PostScript": b"%!PS-Adobe-3.0\n(/etc/passwd) (r) file\n",
    "PDF": b"%PDF-1.7\n/JavaScript (app.alert(1))\n",
    "MVG": b"push graphic-context\nviewbox 0 0 640 480\nfill 'url(https://127.0.0.1/\"|id\")'\npop graphic-context\n",
    "MSL": b'<?xml version="1.0"?><image><read filename="/etc/passwd"/></image>',
    "XPM": b'/* XPM */\nstatic char *x[] = {"1 1 1 1","a c red","a"};',
    "PNM": b"P6\n30000 30000\n255\n",
    "Radiance": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 30000 +X 30000\n",
    "FITS": b"SIMPLE  =                    T".ljust(80) + b"NAXIS   =                    2".ljust(80),
    "Analyze": pack("<I", 348) + bytes(344),
    "MATLAB": b"MATLAB 5.0 MAT-file".ljust(128),
    "NIfTI": pack("<I", 348) + bytes(340) + b"n+1\0",
    "OpenEXR": b"v/1\x01" + bytes(100),
    "vips": b"\x08\xf2\xa6\xb6" + bytes(100),
    "OpenSlide": b"II+\0\x08\0\0\0" + bytes(60),
    "DICOM": bytes(128) + b"DICM",
    "Photoshop": b"8BPS\0\x01" + bytes(60),
    "JPEG XL": b"\xff\x0a" + bytes(60),
    "JPEG XL in a box": b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(60),
    "JPEG 2000 codestream": b"\xff\x4f\xff\x51" + bytes(60),
    "HEIC": pack(">I", 24) + b"ftypheic" + b"\0\0\0\0mif1heic",
    "MP4": pack(">I", 24) + b"ftypisom" + b"\0\0\0\0isomiso2",
    "WebM": b"\x1aE\xdf\xa3" + bytes(60),
    "ELF": b"\x7fELF\x02\x01\x01" + bytes(60),
    "Windows program": b"MZ\x90\0" + bytes(60),
    "shell script": b"#!/bin/sh\nid\n",
    "HTML": b"<!DOCTYPE html><html><script>alert(1)</script></html>",
    "HTML with a BOM": b"\xef\xbb\xbf<html>",
    "Python pickle": b"\x80\x04cos\nsystem\n(S'id'\ntR.",
    "NumPy array": b"\x93NUMPY\x01\0v\0{'descr': '|O'}",
    "JPEG after a byte": b"\0\xff\xd8\xff\xe0" + bytes(60),
    "RIFF of another kind": b"RIFF\x24\0\0\0WAVEfmt " + bytes(60),
}

FILES: dict[str, File] = {
    f"{name} that is called .jpg": File(lambda data=data: data, "type_not_allowed")  # type: ignore[misc]
    for name, data in CONTENT.items()
} | {"nothing at all": File(lambda: b"", "empty_file")}
