UPDATE pages_note SET text = 'nobody';
