"""Contact sheets: a photo in many styles on one image. The entry is `contact_sheet`."""
