/* The console's archive as it is (cmake names the file). An assembler copies bytes in no time; a compiler does not. */
	.section .rodata.detection_console, "a"
	.global detection_console_begin
	.global detection_console_end
	.balign 16
detection_console_begin:
	.incbin DETECTION_CONSOLE_ARCHIVE
detection_console_end:
	.byte 0
	.section .note.GNU-stack, "", %progbits
