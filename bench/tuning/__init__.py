"""`tune`: an equal search for the settings of every architecture."""
