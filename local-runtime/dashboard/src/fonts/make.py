"""Makes inter.woff2: the part of Inter that the dashboard uses.

    npm pack @fontsource-variable/inter@5.3.0; pip install fonttools==4.68.0 brotli
    python make.py package/files/inter-latin-wght-normal.woff2
"""

import sys

from fontTools.subset import Options, Subsetter, parse_unicodes
from fontTools.ttLib import TTFont
from fontTools.varLib.instancer import instantiateVariableFont

# Western European languages, punctuation, arrows and triangles.
CHARACTERS = (
    "20-7E,A0-FF,131,152,153,178,2009,2010-2015,2018-201A,201C-201E,2020-2022,2026,202F,2030,2032,2033,"
    "2039,203A,20AC,2122,2190-2193,2212,25B2,25BC"
)
DIGITS = {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"}

font = instantiateVariableFont(TTFont(sys.argv[1]), {"wght": (400, 650)})
# Only digits have one width: hyphens and spaces of that width tear words apart.
for lookup in font["GSUB"].table.LookupList.Lookup:
    for table in lookup.SubTable:
        mapping = getattr(getattr(table, "ExtSubTable", table), "mapping", None)
        if mapping and DIGITS <= mapping.keys() and "hyphen" in mapping:
            for name in mapping.keys() - DIGITS:
                del mapping[name]
options = Options(layout_features=["tnum", "kern"], hinting=False, flavor="woff2")
subsetter = Subsetter(options)
subsetter.populate(unicodes=parse_unicodes(CHARACTERS))
subsetter.subset(font)
font.flavor = "woff2"
font.save("inter.woff2")
