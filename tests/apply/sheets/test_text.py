"""Text on a contact sheet, in the fonts of this machine."""

from stylekit.apply.sheets import text
from stylekit.apply.sheets.text import drawable_text


def test_text_without_a_font_loses_accents_only(monkeypatch):
    assert drawable_text("Fernand Leger", 20)[0] == "Fernand Leger"
    assert drawable_text("Fernand\n\x1bL", 20)[0] == "FernandL"
    monkeypatch.setattr(text, "_system_font", lambda name, size: None)
    assert drawable_text("Fernand Léger", 20)[0] == "Fernand Leger"
    assert drawable_text("葛飾北斎 Hokusai", 20)[0] == " Hokusai"


def test_text_is_in_the_first_font_that_has_its_characters(monkeypatch):
    other = object()
    monkeypatch.setattr(text, "_has_all", lambda font, text: font is other)
    monkeypatch.setattr(text, "_system_font", lambda name, size: other if name == "DejaVuSans.ttf" else None)
    assert drawable_text("Łódź", 20) == ("Łódź", other)
