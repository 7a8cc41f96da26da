#!/bin/sh
# Makes latin.ttf and han.otf again, from Debian's packages fonts-noto-extra (20201225) and fonts-noto-cjk-extra (20220127).
# Needs fonttools (4.68 made these), apt and dpkg. Nothing of this runs when visavis is built.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$(mktemp -d)"
apt-get download fonts-noto-extra fonts-noto-cjk-extra
for package in *.deb; do dpkg-deb -x "$package" .; done

# Outlines and their metrics only: no hints, which a screen of this size does not need, and no layout tables, which the
# rasteriser does not read.
common="--no-hinting --layout-features= --name-IDs=0,5,7,13,14 --notdef-outline"

# Latin, Greek and Cyrillic with what Europe's languages and Vietnamese put on them; marks, quotes, dashes, arrows.
pyftsubset usr/share/fonts/truetype/noto/NotoSans-Medium.ttf --output-file="$here/latin.ttf" $common \
    --drop-tables+=GSUB,GPOS,GDEF,STAT,DSIG,MVAR,HVAR \
    --unicodes=20-7E,A0-24F,259,2BB-2BC,2C6-2DD,300-304,306-30C,323,326-328,370-3FF,400-52F,1E00-1EFF,2010-2027,2030,2032-2033,2039-203A,2044,20AC,2116,2122,2190-2193,2212,2248,2260

# GB 2312: 6,763 characters of simplified Chinese, kana, and punctuation.
python3 -c '
for row in range(0xA1, 0xF8):
    for cell in range(0xA1, 0xFF):
        try: print("%X" % ord(bytes([row, cell]).decode("gb2312")))
        except UnicodeDecodeError: pass
' > gb2312.txt
# Its third font is the one with the shapes of the Chinese mainland.
pyftsubset usr/share/fonts/opentype/noto/NotoSansCJK-Medium.ttc --font-number=2 --output-file="$here/han.otf" $common \
    --drop-tables+=BASE,VORG,vhea,vmtx,GSUB,GPOS,GDEF --unicodes-file=gb2312.txt
