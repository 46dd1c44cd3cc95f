"""XMP: what speaks of the old file is dropped, turned or updated."""

import base64
import io

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import IFD, Base

from stylekit.images.photo import Metadata, Photo
from tests.image_material import SRGB, STORED, XMP, adobe_rgb, load, make_exif, make_xmp, save

DC = 'xmlns:dc="http://purl.org/dc/elements/1.1/" dc:source="bridge" '
CAMERA = 'xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" '
CONTAINER = (
    'xmlns:Container="http://ns.google.com/photos/1.0/container/" '
    'xmlns:Item="http://ns.google.com/photos/1.0/container/item/" '
)
ITEMS = (
    '<Container:Directory><rdf:Seq><rdf:li rdf:parseType="Resource"><Container:Item Item:Mime="video/mp4" '
    'Item:Semantic="MotionPhoto" Item:Length="1234"/></rdf:li></rdf:Seq></Container:Directory>'
)


def preview():
    file = io.BytesIO()
    Image.new("RGB", (64, 40)).save(file, "JPEG")
    return base64.b64encode(file.getvalue()).decode()


def thumbnail():
    image = f"<xmpGImg:width>64</xmpGImg:width><xmpGImg:image>{preview()}</xmpGImg:image>"
    return f'<xmp:Thumbnails><rdf:Alt><rdf:li rdf:parseType="Resource">{image}</rdf:li></rdf:Alt></xmp:Thumbnails>'


OLD_FILE = {
    "micro-video": (CAMERA + 'GCamera:MicroVideo="1" GCamera:MicroVideoOffset="1234"', ""),
    "motion-photo": (CAMERA + CONTAINER + 'GCamera:MotionPhoto="1"', ITEMS),
    "gain-map": (
        CONTAINER + 'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"',
        ITEMS.replace("MotionPhoto", "GainMap"),
    ),
    "thumbnail": (
        'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:xmpGImg="http://ns.adobe.com/xap/1.0/g/img/"',
        thumbnail(),
    ),
    "raw-settings": (
        'xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/" crs:Exposure2012="+1.50" crs:CropTop="0.1"',
        "<crs:ToneCurve><rdf:Seq><rdf:li>0, 0</rdf:li></rdf:Seq></crs:ToneCurve>",
    ),
    "layers": (
        'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" photoshop:ColorMode="4"',
        "<photoshop:TextLayers><rdf:Bag><rdf:li>SECRET</rdf:li></rdf:Bag></photoshop:TextLayers>",
    ),
    "encoding": ('xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Compression="6" tiff:BitsPerSample="16"', ""),
    "history": ('xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/" xmpMM:InstanceID="xmp.iid:1"', ""),
    "extension": ('xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="0123"', ""),
    "embedded": ('xmlns:own="http://example.org/" ', f"<own:depth>{'QUJD' * 3000}</own:depth>"),
    "embedded-list": (
        'xmlns:own="http://example.org/" ',
        f"<own:d><rdf:Bag><rdf:li>{'QUJD' * 3000}</rdf:li></rdf:Bag></own:d>",
    ),
}


@pytest.mark.parametrize("kind", OLD_FILE)
def test_xmp_about_the_old_file_is_dropped_and_the_rest_is_kept(kind, pixels, written):
    attributes, content = OLD_FILE[kind]
    xmp = load(written("a.jpg", pixels, xmp=make_xmp(DC + attributes, content))).metadata.xmp
    clean = load(written("b.jpg", pixels, xmp=make_xmp(DC))).metadata.xmp
    assert b'dc:source="bridge"' in clean
    if kind == "embedded-list":  # an empty list stays
        assert b"QUJD" not in xmp
    else:
        properties = xmp.replace(b' xmlns:own="http://example.org/"', b"")
        for namespace in (b"xmp", b"photoshop", b"tiff", b"xmpMM"):  # declared, but unused
            start = properties.find(b" xmlns:" + namespace + b"=")
            if start >= 0:
                end = properties.index(b'"', properties.index(b'"', start) + 1) + 1
                properties = properties[:start] + properties[end:]
        assert properties == clean


def test_xmp_only_about_the_old_file_is_dropped_whole(pixels, written):
    xmp = make_xmp(CAMERA + 'GCamera:MicroVideo="1"')
    assert load(written("a.jpg", pixels, xmp=xmp)).metadata.xmp is None


def test_texts_of_xmp_survive(pixels, written):
    content = (
        '<dc:description><rdf:Alt><rdf:li xml:lang="x-default">a &lt;b&gt; ü\n 你好</rdf:li></rdf:Alt></dc:description>'
    )
    photo = load(written("a.jpg", pixels, xmp=make_xmp(DC + 'dc:coverage="a&#10;&#9;&quot;b&quot;"', content)))
    xmp = photo.metadata.xmp.decode()
    assert content in xmp
    assert 'dc:coverage="a&#10;&#9;&quot;b&quot;"' in xmp
    save(photo, written("c.jpg", pixels))
    assert load(written("b.jpg", pixels, xmp=photo.metadata.xmp)).metadata.xmp == photo.metadata.xmp


def test_sizes_in_xmp_are_those_of_the_result(pixels, written, tmp_path):
    sizes = (
        'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:ImageWidth="24" tiff:ImageLength="16" '
        'xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:PixelXDimension="24"'
    )
    content = "<exif:PixelYDimension>16</exif:PixelYDimension>"
    save(load(written("a.jpg", pixels, xmp=make_xmp(sizes, content)), max_size=12), tmp_path / "b.jpg")
    xmp = load(tmp_path / "b.jpg").metadata.xmp
    for text in (b'ImageWidth="12"', b'ImageLength="8"', b'XDimension="12"', b">8</exif:PixelYDimension>"):
        assert text in xmp


def panorama(width, height):
    names = {"FullPanoWidthPixels": width, "CroppedAreaImageWidthPixels": width, "CroppedAreaImageHeightPixels": height}
    names |= {"FullPanoHeightPixels": 2 * height, "CroppedAreaTopPixels": 4, "ProjectionType": "equirectangular"}
    attributes = " ".join(f'GPano:{name}="{value}"' for name, value in names.items())
    return make_xmp(f'{DC} xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" {attributes}')


def test_a_panorama_is_scaled_with_the_image(pixels, written, tmp_path):
    save(load(written("a.jpg", pixels, xmp=panorama(24, 16)), max_size=12), tmp_path / "b.jpg")
    xmp = load(tmp_path / "b.jpg").metadata.xmp
    for text in (
        b'FullPanoWidthPixels="12"',
        b'FullPanoHeightPixels="16"',
        b'ImageHeightPixels="8"',
        b'TopPixels="2"',
        b"equirectangular",
    ):
        assert text in xmp


def test_a_panorama_of_another_shape_is_dropped(pixels, written, tmp_path):
    save(load(written("a.jpg", pixels, xmp=panorama(48, 16))), tmp_path / "b.jpg")
    assert b"Pano" not in load(tmp_path / "b.jpg").metadata.xmp.replace(b"photos/1.0/panorama", b"").replace(
        b"xmlns:GPano", b""
    )


@pytest.mark.parametrize(("convert", "space"), [(False, b"65535"), (True, b"1")])
def test_the_color_space_in_xmp_is_srgb_once_converted(convert, space, pixels, written):
    xmp = make_xmp('xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:ColorSpace="65535"')
    photo = load(written("a.jpg", pixels, xmp=xmp, icc_profile=adobe_rgb() if convert else SRGB))
    assert b'exif:ColorSpace="' + space + b'"' in photo.metadata.xmp


# --- Regions


def regions(size, area=(0.25, 0.3, 0.1, 0.2), unit="normalized"):
    x, y, w, h = area
    place = f'stArea:x="{x}" stArea:y="{y}" stArea:w="{w}" stArea:h="{h}" stArea:unit="{unit}"'
    return make_xmp(
        DC + 'xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/" '
        'xmlns:stDim="http://ns.adobe.com/xap/1.0/sType/Dimensions#" xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#"',
        f'<mwg-rs:Regions rdf:parseType="Resource">'
        f'<mwg-rs:AppliedToDimensions stDim:w="{size[0]}" stDim:h="{size[1]}" '
        'stDim:unit="pixel"/><mwg-rs:RegionList><rdf:Bag><rdf:li><rdf:Description mwg-rs:Name="Ann" '
        f'mwg-rs:Type="Face"><mwg-rs:Area {place}/></rdf:Description></rdf:li></rdf:Bag></mwg-rs:RegionList>'
        "</mwg-rs:Regions>",
    )


def marked(orientation):
    """Return how an upright image with a white spot at (0.25, 0.3) is stored, and where the spot is stored."""
    image = np.zeros((160, 240, 3), np.uint8)
    image[44:52, 56:64] = 255
    stored = np.ascontiguousarray(STORED[orientation](image))
    rows, columns = np.nonzero(stored[..., 0])
    return stored, ((columns.mean() + 0.5) / stored.shape[1], (rows.mean() + 0.5) / stored.shape[0])


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
@pytest.mark.parametrize("orientation", STORED)
def test_a_face_is_turned_with_the_image(orientation, suffix, pixels, written, tmp_path):
    stored, (x, y) = marked(orientation)
    on_side = orientation > 4
    xmp = regions(stored.shape[1::-1], (x, y, *((0.2, 0.1) if on_side else (0.1, 0.2))))
    options = (
        {"tiffinfo": {Base.XMLPacket.value: xmp, Base.Orientation.value: orientation}}
        if suffix == ".tif"
        else {"xmp": xmp, "exif": make_exif(orientation)}
    )
    photo = load(written(f"a{suffix}", stored, **options), max_size=120)
    save(photo, tmp_path / f"b{suffix}")
    xmp = load(tmp_path / f"b{suffix}").metadata.xmp.decode()
    assert 'stDim:w="120"' in xmp
    assert 'stDim:h="80"' in xmp
    assert 'stArea:x="0.25" stArea:y="0.3" stArea:w="0.1" stArea:h="0.2"' in xmp


def test_regions_measured_on_the_upright_image_stay(pixels, written):
    stored, _ = marked(6)
    xmp = load(written("a.jpg", stored, xmp=regions((240, 160)), exif=make_exif(6))).metadata.xmp
    assert b'stArea:x="0.25" stArea:y="0.3"' in xmp


@pytest.mark.parametrize("xmp", [regions((240, 80)), regions((240, 160), unit="pixel")])
def test_regions_of_another_image_are_dropped(xmp, pixels, written):
    xmp = load(written("a.jpg", pixels, xmp=xmp)).metadata.xmp
    assert b"Ann" not in xmp
    assert b"bridge" in xmp


def test_regions_of_microsoft_are_turned(pixels, written):
    namespaces = (
        'xmlns:MP="http://ns.microsoft.com/photo/1.2/" xmlns:MPReg="http://ns.microsoft.com/photo/1.2/t/Region#" '
        'xmlns:MPRI="http://ns.microsoft.com/photo/1.2/t/RegionInfo#"'
    )
    region = '<rdf:Description MPReg:Rectangle="0.2, 0.1, 0.1, 0.3" MPReg:PersonDisplayName="Ann"/>'
    content = (
        '<MP:RegionInfo rdf:parseType="Resource"><MPRI:Regions><rdf:Bag>'
        f"<rdf:li>{region}</rdf:li></rdf:Bag></MPRI:Regions></MP:RegionInfo>"
    )
    xmp = load(written("a.jpg", pixels, xmp=make_xmp(namespaces, content), exif=make_exif(6))).metadata.xmp
    assert b'Rectangle="0.6, 0.2, 0.3, 0.1"' in xmp


def test_the_place_of_the_subject_is_dropped_with_its_pixels(pixels, written):
    exif = make_exif(6, details={0x9214: (10, 12), Base.SubjectLocation: (10, 12)})
    image = Image.Exif()
    image.load(load(written("a.jpg", pixels, exif=exif)).metadata.exif)
    details = image.get_ifd(IFD.Exif)
    assert Base.ExposureTime in details
    assert not {0x9214, Base.SubjectLocation} & set(details)


def test_hostile_xmp_is_dropped(pixels, written):
    entities = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>' + XMP
    deep = make_xmp(content="<a>" * 20_000 + "</a>" * 20_000)
    for packet in (entities, deep, XMP[:-10], make_xmp(DC, "x" * 2**21)):
        photo = load(written("a.webp", pixels, xmp=packet))
        assert photo.metadata.xmp is None
        assert photo.notes == ("XMP dropped: corrupt",)


def test_a_programs_own_corrupt_xmp_is_written_as_it_is(pixels, tmp_path):
    save(Photo(pixels, metadata=Metadata(xmp=b"<x")), tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.info["xmp"] == b"<x"
